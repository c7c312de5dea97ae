//go:build linux

// Package upgrade is how a master becomes another version of itself: which phases
// that has, and the trial in which the new version says whether it could go on.
//
// The state that goes along is what the fields of the master say (package state);
// package handover carries it over the exec.
package upgrade

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
