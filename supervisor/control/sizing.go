//go:build linux

package control

import "fmt"

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
	s.Why = fmt.Sprintf("%d to %d workers: %d in flight and %d waiting take %d of %d each", s.Min, s.Max, s.InFlight, s.Waiting, s.Needed, s.TargetInFlight)
	if blind {
		s.Why = fmt.Sprintf("%d to %d workers: requests of plain ones cannot be seen, so one more starts while connections wait (%d), and none ends", s.Min, s.Max, s.Waiting)
	}
	switch {
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
