//go:build linux

package supervisor

import (
	"os"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// leftoverTime is how long the end of the master waits until what workers left
// behind is gone: what those had started comes to light only then.
const leftoverTime = 500 * time.Millisecond

// knows says whether the process is a child that was started here.
func (s *Supervisor) knows(pid int) bool {
	return s.roster.Has(pid) || s.loaders.byPID(pid) != nil || s.development.Is(pid) || s.upgrades.trial.Is(pid)
}

// reap takes every exit there is.
func (s *Supervisor) reap() {
	exits, orphans, err := s.hands.reap(s.knows)
	if err != nil {
		s.log.Error("cannot reap", zap.Error(err))
	}
	if len(orphans) > 0 {
		s.log.Debug("reaped orphans", zap.Int("count", len(orphans)))
	}
	for _, o := range orphans {
		s.leftovers.Reaped(o.Pid)
	}
	var built, tried *process.Status
	var ended []*roster.Worker
	for _, e := range exits {
		s.leftovers.Reaped(e.Pid)
		switch {
		case s.development.Is(e.Pid):
			built = &e.Status
		case s.upgrades.trial.Is(e.Pid):
			tried = &e.Status
		case s.loaders.byPID(e.Pid) != nil:
			s.loaderDied(s.loaders.byPID(e.Pid), e.Status)
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
	}
	s.roster.ReapedOthers(orphans)
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

// died notes how the process of a worker ended, which is reaped.
func (s *Supervisor) died(w *roster.Worker, end process.Status) {
	w.Status, w.Gone = end, true
	if w.Rev.Config.Preload {
		s.loaders.exit = time.Now()
	}
	known, _ := s.fleet.Worker(w.ID)
	alone := !known.Until.IsZero() && known.State != fleet.Killed && !known.Cooperates() && end.Signal != syscall.SIGKILL
	s.leftovers.Died(leftovers.Leader{ID: w.ID, PID: w.PID, Alone: alone})
}

// sweep ends what workers left behind that are gone themselves by now. While a worker
// is being born nobody can tell its process from what others left.
func (s *Supervisor) sweep(reaped []process.Orphan) {
	if s.leftovers.Quiet(reaped) {
		return
	}
	s.lament(reaped)
	if s.roster.Expecting() {
		s.leftovers.Postpone()
		return
	}
	if !s.leftovers.Begin() {
		return
	}
	workers := s.roster.PIDs()
	go func() {
		adopted := s.hands.adopted(func(pid int) bool { return workers[pid] })
		s.loop.Report(func() { s.swept(adopted) })
	}()
}

// swept ends those of the children that are to end. What was read of them belongs to
// them, and they may be able to keep its reader waiting.
func (s *Supervisor) swept(adopted []process.Orphan) {
	adopted = slices.DeleteFunc(adopted, func(o process.Orphan) bool { return s.knows(o.Pid) })
	if s.roster.Expecting() { // one of them may be the one that is being born
		s.leftovers.GiveUp()
		return
	}
	for _, o := range s.leftovers.Sort(adopted, s.leaders()) {
		s.endLeftover(o)
	}
	if s.leftovers.Due() {
		s.sweep(nil)
	}
}

// leaders are the workers that are alive.
func (s *Supervisor) leaders() (alive []leftovers.Leader) {
	for w := range s.roster.All() {
		if !w.Gone && w.PID != 0 {
			known, _ := s.fleet.Worker(w.ID)
			alive = append(alive, leftovers.Leader{ID: w.ID, PID: w.PID, Busy: w.Executed || !known.ReadyAt.IsZero()})
		}
	}
	for _, l := range s.loaders.all {
		if l.way.PID != 0 && !l.way.Gone() {
			alive = append(alive, l.leader())
		}
	}
	return alive
}

// endLeftover ends a process that a worker left behind, or lets it live if the
// configuration says so, and names it once.
func (s *Supervisor) endLeftover(o leftovers.Leftover) {
	outlive := s.revisions.Current.Config.Limits.Outlive
	if !o.Again {
		fields := []zap.Field{zap.Int("pid", o.Pid), zap.String("command", o.Command)}
		if o.Owner > 0 {
			fields = append([]zap.Field{zap.Int("worker", o.Owner)}, fields...)
		} else if o.Owner < 0 {
			fields = append([]zap.Field{zap.Bool("loader", true)}, fields...)
		}
		if outlive {
			s.log.Info("worker left a process behind, which may outlive it", fields...)
		} else {
			s.log.Warn("worker left a process behind, which is ended: see limits.outlive", fields...)
		}
	}
	if outlive {
		return
	}
	if err := o.Kill(); err != nil {
		s.log.Error("cannot end what a worker left behind", zap.Int("pid", o.Pid), zap.Error(err))
	}
}

// endLeftovers ends all that workers have left behind, whosoever, when the master
// ends, and nothing else.
func (s *Supervisor) endLeftovers() {
	limit := time.NewTimer(leftoverTime)
	defer limit.Stop()
	for {
		_, reaped, _ := s.hands.reap(s.knows) // an error would have been told before
		s.lament(reaped)
		adopted, ok := s.adoptedBy(limit.C)
		if !ok {
			s.log.Error("cannot look for what workers have left behind: one of them lets nobody read what it is")
			return
		}
		over, rest := s.leftovers.Rest(adopted, s.leaders())
		for _, o := range over {
			s.endLeftover(o)
		}
		if len(rest) == 0 || s.revisions.Current.Config.Limits.Outlive {
			return
		}
		if !s.awaitChild(limit.C) {
			s.nameRest(rest)
			return
		}
	}
}

// adoptedBy are the children that were adopted, if those can be known in time.
func (s *Supervisor) adoptedBy(late <-chan time.Time) (adopted []process.Orphan, ok bool) {
	found := make(chan []process.Orphan, 1)
	workers := s.roster.PIDs()
	go func() { found <- s.hands.adopted(func(pid int) bool { return workers[pid] }) }()
	select {
	case adopted = <-found:
		return slices.DeleteFunc(adopted, func(o process.Orphan) bool { return s.knows(o.Pid) }), true
	case <-late:
		return nil, false
	}
}

// nameRest says what is left of what workers left behind.
func (s *Supervisor) nameRest(rest []process.Orphan) {
	for _, o := range rest {
		if !o.Ended {
			s.log.Error("what a worker left behind does not die", zap.Int("pid", o.Pid), zap.String("command", o.Command))
		}
	}
}

// awaitChild waits for the end of some child, and says whether it came in time.
func (s *Supervisor) awaitChild(late <-chan time.Time) bool {
	for {
		select {
		case sig := <-s.signals.C:
			if sig == os.Signal(syscall.SIGCHLD) {
				return true
			}
		case <-late:
			return false
		}
	}
}

// lament says once what ended with the worker that had started it.
func (s *Supervisor) lament(reaped []process.Orphan) {
	if o, leader, found := s.leftovers.Lost(reaped); found {
		s.log.Warn("worker ended at its stop signal before the processes it had started, which are killed with all they were doing: "+
			"only the first process of a worker gets the signal; a shell script starts its server by exec",
			zap.Int("worker", leader), zap.Int("pid", o.Pid))
	}
}
