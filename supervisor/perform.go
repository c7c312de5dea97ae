//go:build linux

package supervisor

import (
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// carryOut does what the brain decided in a step, and after it what depends on all of it.
func (s *Supervisor) carryOut(actions []fleet.Action) {
	s.foretell()
	var last []func()
	for _, a := range actions {
		if rest := s.perform(a); rest != nil {
			last = append(last, rest)
		}
	}
	if s.fleet.Moved() {
		s.sockets.CloseSlots()
	}
	s.limits.Keep(time.Now())
	for _, rest := range last {
		rest()
	}
	s.forget()
}

// perform does what the brain decided, and writes the line that says so. It returns what
// can wait until the other actions of the step are performed; nil: nothing.
func (s *Supervisor) perform(a fleet.Action) (rest func()) {
	switch a := a.(type) {
	case fleet.Spawn:
		return s.spawn(a)
	case fleet.Activate:
		w := s.roster.Of(a.ID)
		s.signs.Activate(w, a.Slot)
		s.books.Restarted(a.Slot, a.Reason)
		s.log.Info("spare activated", w.Fields(zap.String("reason", string(a.Reason)), zap.Duration("age", w.Age()))...)
	case fleet.Load:
		s.births.Loaders.Start(a, s.revisions.All[a.Revision])
	case fleet.Unload:
		s.births.Loaders.Unload(a)
	case fleet.AbortLoader:
		s.births.Loaders.Abort(a)
	case fleet.KillLoader:
		s.births.Loaders.Kill(a)
	case fleet.Announce:
		s.announce(s.roster.Of(a.ID))
	case fleet.FoundStuck:
		s.limits.Blame(s.roster.Of(a.ID), a)
	case fleet.Recovered:
		s.log.Info("worker is no longer stuck, and is replaced all the same", s.roster.Of(a.ID).Fields()...)
	case fleet.FoundFailing:
		s.log.Error("worker fails while others do not, and is replaced", s.roster.Of(a.ID).Fields(zap.Uint32("failures", s.roster.Of(a.ID).View().Failures().Row))...)
	case fleet.FoundFailed:
		s.roster.Of(a.ID).SetDeadline(a.Until)
		s.log.Error("worker can serve nobody any more, as it says, and is replaced", s.roster.Of(a.ID).Fields()...)
	case fleet.FoundOutage:
		s.log.Warn("workers fail, and none is replaced for max_failures: no other answers well", zap.Int("failing", a.Failing))
	case fleet.Weigh:
		s.limits.Overlap.Measure()
	case fleet.Cramped:
		s.limits.Overlap.Warn()
	case fleet.Spareless:
		s.log.Warn("there are no spares: this worker cannot wait without accepting connections", s.roster.Of(a.ID).Fields(
			zap.Int("spares", s.revisions.Current.Config.Spares), zap.String("hint", "workers that use a library of gosuper can, and so does worker_class = \"proxy\""))...)
	case fleet.Defer:
		s.log.Warn("worker wants to be replaced so soon after another one of its slot that it has to wait: see restart.reset_after",
			s.roster.Of(a.ID).Fields(zap.String("reason", string(a.Reason)), zap.Duration("for", time.Until(a.Until).Round(time.Millisecond)))...)
	case fleet.Crowded:
		s.limits.Crowded(s.roster.Of(a.ID), a.Draining)
	case fleet.Withdraw:
		w := s.roster.Of(a.ID)
		s.log.Info("worker is not ready yet: it speaks the worker protocol after all, and has not said READY=1", w.Fields(zap.Duration("after", w.Age()))...)
	case fleet.Plain:
		s.roster.Of(a.ID).Rev.WarnPlain(s.log.Logger)
	case fleet.Retire:
		s.retire(s.roster.Of(a.ID), a)
	case fleet.Hasten:
		s.roster.Of(a.ID).SetDeadline(a.Until)
	case fleet.Prolong:
		s.roster.Of(a.ID).SetDeadline(a.Until)
	case fleet.Abort:
		s.abort(s.roster.Of(a.ID), a)
	case fleet.Kill:
		w := s.roster.Of(a.ID)
		if known, _ := s.fleet.Worker(a.ID); !a.Aborted {
			s.limits.Lost(w, known)
		}
		s.log.Warn("killing worker", w.Fields(zap.String("reason", string(a.Reason)))...)
		s.do(w, orderKill)
	case fleet.Unkillable:
		s.nameUnkillable(a.ID)
	case fleet.Bury:
		w := s.roster.Of(a.Worker.ID)
		s.roster.Remove(w.ID)
		s.signs.Forget(w.ID)
		s.births.Boards.Clear(w.Place)
		return func() { s.postmortems.Bury(w, a) }
	case fleet.Rescale:
		s.log.Info("scaled", append([]zap.Field{zap.Int("from", a.From), zap.Int("workers", a.To)}, s.limits.Demand.Fields()...)...)
		if a.To >= a.From && s.revisions.Current.Config.WorkersMax == 0 {
			s.revisions.Current.WarnScaled(s.log.Logger, a.To)
		}
	case fleet.Apply:
		s.apply(a)
	case fleet.EndReload:
		return func() { s.limits.Scales.Counted(func() { s.loop.Afterwards(func() { s.endReload(a) }) }) }
	case fleet.Close:
		s.sockets.GiveUp(s.revisions.Current.Sockets)
	case fleet.Up:
		s.limits.Demand.Listen() // first, since who hears of it may connect at once
		s.postmortems.AllReady(zap.Int("workers", s.fleet.Target()), zap.Strings("bind", s.revisions.Current.Binds()), zap.Bool("tls", s.revisions.Current.Config.TLS.Cert != ""))
		go s.hands.trim() // of what only the start needed
	}
	return nil
}

// announce notes that a worker is ready. By now it has called listen itself if
// it ever does, which changed the backlog for everybody.
func (s *Supervisor) announce(w *roster.Worker) {
	if err := w.Rev.Sockets.Reapply(); err != nil {
		s.log.Warn("cannot restore the listeners", zap.Error(err))
	}
	w.Held().Release(0)
	w.Held().Forget()
	s.books.Ready(time.Since(w.Spawned))
	known, _ := s.fleet.Worker(w.ID)
	message := "worker ready"
	if known.Spare() {
		message = "spare ready"
	}
	s.log.Info(message, w.Fields(zap.Duration("after", w.Age()), zap.Bool("cooperating", known.Cooperates()))...)
	s.signs.Ready(w)
}

// retire asks a worker to finish. If it is the last that accepts on sockets
// which are given up, it has to accept them empty first.
func (s *Supervisor) retire(w *roster.Worker, a fleet.Retire) {
	s.log.Info("worker draining", w.Fields(zap.String("reason", string(a.Reason)), zap.Duration("for", time.Until(a.Until).Round(time.Millisecond)))...)
	s.sockets.Leave(w)
	w.SetDeadline(a.Until)
	s.do(w, orderStop)
}

// abort asks a worker that hangs for its stacks. Its last lines up to now explain it;
// those that follow are the stacks, and end in registers.
func (s *Supervisor) abort(w *roster.Worker, a fleet.Abort) {
	known, _ := s.fleet.Worker(a.ID)
	defer s.do(w, orderAbort)
	w.FailureLines = w.ExpectStacks()
	if a.Reason != fleet.ReasonStartup {
		s.limits.Lost(w, known)
		return
	}
	w.Failure = "not ready within startup_timeout"
	if w.PID == 0 {
		w.Failure = "it had no process within startup_timeout"
		return
	}
	if why := s.signs.Idle(w); why != "" {
		w.Failure += ": " + why
	}
	if w.Rev.Config.Ready.Mode == config.ReadyNotify || known.Cooperates() {
		w.Failure = "no READY=1 within startup_timeout"
	}
	s.log.Warn("worker is not ready in time, asking for its stacks", w.Fields(zap.Stringer("signal", w.Rev.Config.AbortSignal), zap.Duration("age", w.Age()))...)
}

// foretell tells the workers that drain, or are about to, how that will end.
func (s *Supervisor) foretell() {
	for known := range s.fleet.Workers() {
		if known.State == fleet.Draining || known.State.Ending() {
			s.roster.Of(known.ID).View().SetAbortFollows(s.fleet.AsksForStacks(&known))
		}
	}
}

// nameUnkillable says that SIGKILL has not ended a worker, or what is left of one.
func (s *Supervisor) nameUnkillable(id int) {
	const why = "SIGKILL has not ended it: it hangs in the kernel, or is frozen (state and wchan in /proc/PID tell); its lease, if it has one, stays taken until it is gone"
	if w := s.roster.Of(id); w != nil {
		s.log.Warn("worker does not die", append(w.Fields(zap.Duration("age", w.Age()), zap.String("hint", why)), w.Leased()...)...)
		return
	}
	s.log.Warn("what is left of a worker does not die", zap.Int("worker", id), zap.Int("group", s.leftovers.Groups.PID(id)),
		zap.Any("lease", map[string]string(s.fleet.Holding(id))), zap.String("hint", why))
}
