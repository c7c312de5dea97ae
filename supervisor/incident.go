//go:build linux

package supervisor

import (
	"context"
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// routine are the reasons for which workers are retired when nothing is wrong with
// them. All others are faults, and whatever a worker itself gives as one.
var routine = []fleet.Reason{
	"", fleet.ReasonLifetime, fleet.ReasonReload, fleet.ReasonRollback, fleet.ReasonScale, fleet.ReasonRecycle,
	fleet.ReasonLeft, fleet.ReasonSurplus, fleet.ReasonStop, fleet.ReasonRequests,
}

// enter makes an incident of the end of a worker if it is one: nobody had asked for
// it, something was wrong with the worker, or it had to be killed.
func (s *Supervisor) enter(w *roster.Worker, a fleet.Bury, lost *uint64) {
	reason := a.Reason
	if a.Verdict == fleet.Retired {
		if reason = a.Worker.Why; slices.Contains(routine, reason) && a.Worker.State != fleet.Killed {
			return
		}
	}
	s.books.Enter(books.Incident{
		Worker: w.ID, Slot: w.Slot, PID: w.PID, Generation: w.Generation, At: time.Now().UTC().Round(0),
		Reason: string(reason), Status: w.Ending(a.Worker), Age: w.Age(), Lost: lost, Lines: w.LastWords(),
	})
}

// Incidents returns the last ends of workers that nobody asked for, or that had to
// be forced. Any goroutine but that of Run may call it.
func (s *Supervisor) Incidents(ctx context.Context) (found control.Incidents, err error) {
	err = s.loop.Do(ctx, func() { found = s.books.Incidents(time.Now()) })
	return found, err
}

// endingOf is what is known of the end of a worker, dead or as good as dead.
func (s *Supervisor) endingOf(id int) books.Ending {
	w := s.roster.Of(id)
	if w == nil {
		return s.books.EndingOf(id)
	}
	known, _ := s.fleet.Worker(id)
	return s.books.Explain(w.Ending(known), w.LastWords())
}
