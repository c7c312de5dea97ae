package supervisor

import (
	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// reap takes every exit there is.
func (s *Supervisor) reap() {
	exits, orphans, err := s.hands.reap(func(pid int) bool {
		return s.pids[pid] != nil || s.development.pid == pid || s.trial.is(pid)
	})
	if err != nil {
		s.log.Error("cannot reap", zap.Error(err))
	}
	if orphans > 0 {
		s.log.Debug("reaped orphans", zap.Int("count", orphans))
	}
	var tried *process.Status
	for _, e := range exits {
		if e.Pid == s.development.pid {
			s.built(e.Status)
			continue
		}
		if s.trial.is(e.Pid) {
			tried = &e.Status
			continue
		}
		w := s.pids[e.Pid]
		delete(s.pids, e.Pid)
		w.status, w.gone = e.Status, true
		s.explainKill(w)
		s.step(fleet.Exited{ID: w.ID})
	}
	if tried != nil {
		s.endTrial(*tried)
	}
}
