//go:build linux

package supervisor

import (
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/worker/protocol"
)

// hopeless is how a start ends that no other one would end otherwise.
var hopeless = process.Status{Code: protocol.ExitHopeless}

// knows says whether the process is a child that was started here.
func (s *Supervisor) knows(pid int) bool {
	return s.roster.Has(pid) || s.births.Loaders.ByPID(pid) != nil || s.development.Is(pid) || s.upgrades.Tries(pid)
}

// reap takes every exit there is.
func (s *Supervisor) reap() {
	exits, orphans, err := s.hands.reap(s.knows, s.roster.PIDs())
	if err != nil {
		s.log.Error("cannot reap", zap.Error(err))
	}
	if len(orphans) > 0 {
		s.log.Debug("reaped orphans", zap.Int("count", len(orphans)))
	}
	for _, o := range orphans {
		s.leftovers.Reaped(o.Pid)
	}
	s.roster.ReapedOthers(orphans) // before a loader that has ended says whose they are
	var built, tried *process.Status
	var ended []*roster.Worker
	for _, e := range exits {
		s.leftovers.Reaped(e.Pid)
		switch {
		case s.development.Is(e.Pid):
			built = &e.Status
		case s.upgrades.Tries(e.Pid):
			tried = &e.Status
		case s.births.Loaders.ByPID(e.Pid) != nil:
			s.births.Loaders.Died(s.births.Loaders.ByPID(e.Pid), e.Status)
		default:
			w := s.roster.Reaped(e.Pid)
			s.died(w, e.Status)
			ended = append(ended, w)
		}
	}
	// All of them are known to be gone before the brain hears of the first: a pid
	// that was reaped is not to be signalled any more.
	for _, w := range ended {
		s.note(fleet.Exited{ID: w.ID})
		s.clear(w, w.PID)
	}
	s.leftovers.LookAtGroups(time.Now())
	if len(ended) > 0 {
		s.limits.Scales.CountKills(s.loop)
		s.sockets.MendAll(ended...) // before others are made that have them
	}
	s.step()
	s.leftovers.Sweep(orphans)
	if built != nil {
		s.development.Ended(*built)
	}
	if tried != nil {
		s.upgrades.Ended(*tried)
	}
}

// clear gives the lease of a worker back that is gone, as soon as nobody is left of its
// process group; 0: it had none.
func (s *Supervisor) clear(w *roster.Worker, group int) {
	if w.Lease != nil {
		s.leftovers.Clear(w.ID, group)
	}
}

// died notes how the process of a worker ended, which is reaped.
func (s *Supervisor) died(w *roster.Worker, end process.Status) {
	w.Status, w.Gone = end, true
	said := s.signs.Finish(w)
	if w.Rev.Config.Preload {
		s.births.Loaders.WorkerDied(time.Now())
	}
	known, _ := s.fleet.Worker(w.ID)
	if known.State == fleet.Starting && !said.Ready && end == hopeless {
		s.note(fleet.Hopeless{Revision: known.Revision})
	}
	alone := !known.Until.IsZero() && known.State != fleet.Killed && !known.Cooperates() && end.Signal != syscall.SIGKILL
	s.leftovers.Died(leftovers.Leader{ID: w.ID, PID: w.PID, Alone: alone, Stop: w.Rev.Config.StopSignal.Number})
}

// children are those that were started here.
func (s *Supervisor) children() leftovers.Children {
	is := leftovers.Children{Workers: map[int]bool{}}
	for pid := range s.roster.PIDs() {
		is.Workers[pid] = true
	}
	for w := range s.roster.All() {
		if !w.Gone && w.PID != 0 {
			known, _ := s.fleet.Worker(w.ID)
			is.Leaders = append(is.Leaders, leftovers.Leader{ID: w.ID, PID: w.PID, Busy: w.Executed || !known.ReadyAt.IsZero()})
		}
	}
	is.Leaders = append(is.Leaders, s.births.Loaders.Leaders()...)
	return is
}
