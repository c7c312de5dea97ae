//go:build linux

package upgrade

import (
	"strings"

	"github.com/gosuper/gosuper/supervisor/control"
)

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
