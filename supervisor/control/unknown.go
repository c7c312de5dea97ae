//go:build linux

package control

import "fmt"

// whatIsUnknown is what plain workers do not tell.
const whatIsUnknown = "requests, their latency and lost requests"

// InFlight is how many requests the cooperating workers have begun and not
// finished; nil: nobody knows.
func (s *Status) InFlight() *uint64 {
	cooperating, plain := s.kinds()
	if s.Counters.Requests == nil || cooperating == 0 && plain > 0 {
		return nil
	}
	var sum uint64
	for _, w := range s.Workers {
		if w.InFlight != nil {
			sum += *w.InFlight
		}
	}
	return &sum
}

// Explain sets Unknown by what the rest of the status has.
func (s *Status) Explain() {
	const because = ", which do not speak the worker protocol (gosuper help protocol)"
	cooperating, plain := s.kinds()
	switch {
	case plain == 0 && s.Counters.Requests != nil:
		s.Unknown = ""
	case plain == 0:
		s.Unknown = whatIsUnknown + " are not known yet: no worker is ready"
	case cooperating > 0:
		s.Unknown = fmt.Sprintf("%s are those of %d of %d workers: the others are plain ones%s", whatIsUnknown, cooperating, cooperating+plain, because)
	case s.Counters.Requests != nil:
		s.Unknown = whatIsUnknown + " are those of earlier workers: those of now are plain ones" + because
	default:
		s.Unknown = whatIsUnknown + " are not known: the workers are plain ones" + because
	}
}

// kinds counts the workers of which it is known whether they report: one that
// starts may not have got to saying so.
func (s *Status) kinds() (cooperating, plain int) {
	for _, w := range s.Workers {
		switch {
		case w.Cooperating:
			cooperating++
		case w.State != "starting":
			plain++
		}
	}
	return cooperating, plain
}
