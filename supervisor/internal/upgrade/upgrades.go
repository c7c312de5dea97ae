//go:build linux

// Package upgrade is how a master becomes another version of itself: which phases
// that has, and the trial in which the new version says whether it could go on.
//
// The state that goes along is what the fields of the master say (package state);
// package handover carries it over the exec.
package upgrade

import (
	"strings"

	"github.com/gosuper/gosuper/supervisor/control"
)

// A Phase is how far an upgrade is. The zero value: there is none.
type Phase int

// The phases, each of which begins only if nothing else is under way that an upgrade
// would harm.
const (
	None      Phase = iota
	Finding         // which program is behind the path
	Trying          // the new version says whether it could go on
	Closing         // who is being answered gets the answer
	Replacing       // the new version takes the place of this one
)

// phases is what there is to know of each.
var phases = [...]struct {
	name string
	// executed: it begins when every worker is its own program, which takes
	// milliseconds: what a process becomes meanwhile, only this image would learn.
	executed bool
	next     Phase
}{
	None:      {name: "none", next: Finding},
	Finding:   {name: "finding", next: Trying},
	Trying:    {name: "trying", executed: true, next: Closing},
	Closing:   {name: "closing", next: Replacing},
	Replacing: {name: "replacing", executed: true, next: None},
}

func (p Phase) String() string { return phases[p].name }

// AfterExec says whether the phase begins only when every worker is its own program.
func (p Phase) AfterExec() bool { return phases[p].executed }

// Next is the phase after this one. What ends it in another way leads to None.
func (p Phase) Next() Phase { return phases[p].next }

// Upgrades are how far an upgrade is, how the last one went, and who waits for the
// outcome of its trial. They belong to one goroutine, and are of use after
// [Upgrades.Attach].
type Upgrades struct {
	Candidate *Candidate // nil: not found yet

	options Options
	trial   *Trial // nil: not begun yet

	phase   Phase
	begun   bool // the phase; else it waits
	last    control.Upgrade
	waiting []chan control.Upgrade
}

// New are the upgrades of a master that had none.
func New() Upgrades { return Upgrades{last: control.Upgrade{Result: control.None}} }

// Done notes that the last upgrade has led from one version to this one.
func (u *Upgrades) Done(from, to string) {
	u.last = control.Upgrade{Result: control.OK, From: from, To: to}
}

// Last is how the last upgrade went, or that it is under way.
func (u *Upgrades) Last() control.Upgrade { return u.last }

// Wait returns where the outcome of the trial is told, once.
func (u *Upgrades) Wait() <-chan control.Upgrade {
	told := make(chan control.Upgrade, 1) // nobody waits for who does not take it
	u.waiting = append(u.waiting, told)
	return told
}

// Tell tells those who wait how it went so far.
func (u *Upgrades) Tell() {
	for _, c := range u.waiting {
		c <- u.last
	}
	u.waiting = nil
}

// Start starts an upgrade from this version. It says no if one is under way.
func (u *Upgrades) Start(from string) bool {
	if u.phase != None {
		return false
	}
	u.last = control.Upgrade{Result: control.Underway, From: from}
	u.Next()
	return true
}

// Next goes on to the next phase, which is pending then.
func (u *Upgrades) Next() { u.phase, u.begun = u.phase.Next(), false }

// Pending is the phase that has not begun yet; None: there is no such.
func (u *Upgrades) Pending() Phase {
	if u.begun {
		return None
	}
	return u.phase
}

// Postpone has a phase that has begun be pending again.
func (u *Upgrades) Postpone() { u.begun = false }

// Refuse ends an upgrade, and tells those who wait why, with the last lines of the version
// that refused. It returns how far it was.
func (u *Upgrades) Refuse(err error, lines []string) (was Phase) {
	u.last.Result, u.last.Error = control.Refused, strings.Join(append([]string{err.Error()}, lines...), "\n  ")
	u.Tell()
	if u.Candidate != nil {
		u.Candidate.Program.Close()
	}
	was = u.phase
	u.phase, u.Candidate, u.trial = None, nil, nil
	return was
}
