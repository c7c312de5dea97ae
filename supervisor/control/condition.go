//go:build linux

package control

import (
	"fmt"
	"strings"
)

// Condition is how the fleet is, in the word that a person would use. State says
// what the master is doing, also with a fleet that is in no good condition.
type Condition string

// The conditions. Of several that hold the first one counts.
const (
	FleetStopping  Condition = "stopping"   // told to stop, or gave up
	FleetReloading Condition = "reloading"  // a reload is under way
	FleetCrashLoop Condition = "crash_loop" // workers of a slot, or the loaders that they wait for, end again and again
	FleetReady     Condition = "ready"      // every slot has a ready worker
	FleetStarting  Condition = "starting"   // what is missing has not been there yet
	FleetDegraded  Condition = "degraded"   // a slot has lost its ready worker
)

// Text is the condition for people.
func (c Condition) Text() string { return strings.ReplaceAll(string(c), "_", " ") }

// CrashLoop are workers that end soon after each other.
type CrashLoop struct {
	Slots []int `json:"slots"`
	// Crashes is how often in a row workers of these slots ended.
	Crashes int `json:"crashes"`
	// NextSeconds is the time until one of them gets another; 0: one is there.
	NextSeconds float64 `json:"next_seconds"`
	// Worker is the id of the last that ended, Status how, and LastLines what it
	// wrote last.
	Worker    int      `json:"worker"`
	Status    string   `json:"status"`
	LastLines []string `json:"last_lines"`
}

// LoaderFailing are loaders that fail one after the other while workers wait for one.
type LoaderFailing struct {
	Failures int `json:"failures"` // in a row
	// NextSeconds is the time until the next one is started; 0: one is there.
	NextSeconds float64 `json:"next_seconds"`
	// Status is how the last one ended, or "" if that is not known any more, LastLines
	// what it wrote last, and Hint what to do.
	Status    string   `json:"status"`
	LastLines []string `json:"last_lines"`
	Hint      string   `json:"hint"`
}

// Text says it in one line.
func (l *LoaderFailing) Text() string {
	text := "the loader failed"
	if l.Failures > 1 {
		text = fmt.Sprintf("the loader failed %d times in a row", l.Failures)
	}
	if l.Status != "" {
		text += ": " + l.Status
	}
	return text + " (" + l.Hint + ")"
}

// Sizing is why there are as many workers as there are, where that follows the demand.
type Sizing struct {
	Min            int `json:"min"`
	Max            int `json:"max"`
	TargetInFlight int `json:"target_in_flight"` // requests in flight that one worker is to have
	InFlight       int `json:"in_flight"`        // when it was looked last, of ready cooperating workers
	Waiting        int `json:"waiting"`          // connections that nobody had accepted
	Needed         int `json:"needed"`           // workers for them
	// Room is for how many workers there is memory; nil: that is not known.
	Room *int   `json:"room"`
	Why  string `json:"why"`
}

// Explain sets Why. target is how many workers are asked for, and blind that the requests of
// some cannot be seen.
func (s *Sizing) Explain(target int, blind bool) {
	s.Why = fmt.Sprintf("%d to %d workers: %d in flight and %d waiting need %d, at %d each", s.Min, s.Max, s.InFlight, s.Waiting, s.Needed, s.TargetInFlight)
	if blind {
		s.Why = fmt.Sprintf("%d to %d workers: requests of plain ones cannot be seen, so one more starts while connections wait (%d), and none ends", s.Min, s.Max, s.Waiting)
	}
	switch {
	case s.Room != nil && target > max(*s.Room, s.Min) && !blind:
		s.Why += fmt.Sprintf("; memory has room for %d, and the others end one at a time", *s.Room)
	case s.Needed > target && target >= s.Max:
		s.Why += ", and more there may not be"
	case s.Needed > target && s.Room != nil && target >= *s.Room:
		s.Why += fmt.Sprintf(", and memory has room for %d", *s.Room)
	case s.Needed > target:
		s.Why += ", and so many follow soon: they double within a second at most"
	case target > max(s.Needed, s.Min) && !blind:
		s.Why += "; the others end when they were not needed for idle_timeout"
	}
}

// Overlap is why a worker stops before its replacement starts, or a spare does not start,
// although surge and spares allow it: memory has no room for another process. The figures are
// those of the last measurement, and 0 where that was made by a master before an upgrade.
type Overlap struct {
	LimitBytes   uint64 `json:"limit_bytes"`   // the memory limit
	LeftBytes    uint64 `json:"left_bytes"`    // of it, for processes
	ProcessBytes uint64 `json:"process_bytes"` // what one takes
	Why          string `json:"why"`
}

// Explain sets Why.
func (o *Overlap) Explain() {
	const mib = 1 << 20
	o.Why = "overlap reduced: memory has no room for a replacement beside its worker, nor for a spare"
	if o.LimitBytes > 0 {
		o.Why += fmt.Sprintf(": %d MiB of %d are left, and one takes %d", o.LeftBytes/mib, o.LimitBytes/mib, (o.ProcessBytes+mib-1)/mib)
	}
}

// ofOlder fills in what a master does not say that has not been upgraded yet, and
// takes back what it should not have said: 0 for what plain workers do not tell.
func (s *Status) ofOlder() {
	if s.Condition != "" {
		return
	}
	s.Condition = Condition(s.State)
	slots := map[int]bool{}
	for i := range s.Workers {
		w := &s.Workers[i]
		if w.State == "ready" {
			slots[w.Slot] = true
		}
		if !w.Cooperating {
			w.Requests, w.InFlight = nil, nil
		}
	}
	s.ReadyWorkers = len(slots)
	if cooperating, _ := s.kinds(); cooperating == 0 && s.Counters.Requests != nil && *s.Counters.Requests == 0 {
		s.Counters.Requests, s.Counters.Timeouts, s.Counters.InnocentsLost = nil, nil, nil
	}
	s.Explain()
}
