//go:build linux

package supervisor

import (
	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// reap takes every exit there is.
func (s *Supervisor) reap() {
	exits, orphans, err := s.hands.reap(s.knows)
	if err != nil {
		s.log.Error("cannot reap", zap.Error(err))
	}
	if len(orphans) > 0 {
		s.log.Debug("reaped orphans", zap.Int("count", len(orphans)))
	}
	var built, tried *process.Status
	var ended []*worker
	for _, e := range exits {
		switch {
		case s.development.Is(e.Pid):
			built = &e.Status
		case s.upgrades.trial.Is(e.Pid):
			tried = &e.Status
		default:
			w := s.pids[e.Pid]
			delete(s.pids, e.Pid)
			w.status, w.gone = e.Status, true
			s.leftovers.died(w)
			ended = append(ended, w)
		}
	}
	// All of them are known to be gone before the brain hears of the first: a pid
	// that was reaped is not to be signalled any more.
	for _, w := range ended {
		s.note(fleet.Exited{ID: w.ID})
	}
	s.step()
	s.sweep(orphans)
	if len(ended) > 0 {
		s.mend(ended...)
	}
	if built != nil {
		s.developed(s.development.Ended(*built, s.project()))
	}
	if tried != nil {
		s.endTrial(*tried)
	}
}
