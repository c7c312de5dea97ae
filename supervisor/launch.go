//go:build linux

package supervisor

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/loader"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
)

// spawn starts a worker. It has no process until that is made, by the main thread or,
// as it may be, by another process which says so later. If it is known at once what came
// of that, what says so is returned.
func (s *Supervisor) spawn(a fleet.Spawn) (tell func()) {
	if inForce, _ := s.fleet.Revision(); a.Worker.Revision == inForce { // a canary replaces nobody yet
		s.books.Restarted(a.Worker.Slot, a.Reason)
	}
	r := s.revisions.All[a.Worker.Revision]
	w := &roster.Worker{Identity: a.Worker.Identity, Rev: r, Limit: r.DrawRequests()}
	s.roster.Enter(w)
	s.books.Started(w.ID, time.Now())
	started := func() {
		if w.PID != 0 && w.Failure == "" {
			s.log.Info("worker started", append(w.Fields(zap.String("reason", string(a.Reason)), zap.Int("place", w.Place)), w.Leased()...)...)
		}
	}
	late := false
	s.sockets.OpenSlot(w, func(err error) {
		switch {
		case w.Gone: // it was given up meanwhile
			s.clear(w, 0)
		case err != nil:
			s.born(w, 0, err)
		default:
			tell = s.launch(w, started)
		}
		if late {
			s.step()
			if tell != nil {
				tell()
			}
		}
	})
	late = true
	return tell
}

// launch has the process of a worker made, and has started called when it is there, which
// it returns if that is so at once. Its program may accept with its first instruction, so
// the sockets listen before. Who connects when none can be made waits for the next try,
// or is reset when the sockets are closed.
func (s *Supervisor) launch(w *roster.Worker, started func()) (tell func()) {
	if err := s.sockets.Listen(w.Rev.Sockets.Of(w.Slot), s.sockets.ReplaceHolders); err != nil {
		s.born(w, 0, err)
		return nil
	}
	pid, err := s.hands.launch(w, func(pid int, err error) {
		s.born(w, pid, err)
		started()
	})
	if pid == 0 && err == nil {
		return nil
	}
	s.born(w, pid, err)
	return started
}

// born notes that the process of a worker was made, or why it was not. If that fails
// the brain learns it as an exit. Of a worker that was given up meanwhile nothing is
// to run any more.
func (s *Supervisor) born(w *roster.Worker, pid int, err error) {
	if w.Gone {
		s.endUnwanted(w, pid)
		return
	}
	if err == nil {
		err = s.attend(w, pid)
	} else {
		s.giveUpOn(w)
		s.clear(w, 0)
	}
	if known, _ := s.fleet.Worker(w.ID); known.State == fleet.Draining {
		s.do(w, orderStop)
	}
	if err != nil {
		w.Failure = err.Error()
		if f, ok := errors.AsType[*loader.Failure](err); ok {
			w.FailureLines = f.Lines
		}
		s.books.NotStarted(w.Failure, hint.Of(err))
		s.log.Error("cannot start worker", w.Fields(hint.Fields(err)...)...)
	}
}

// attend goes on with a worker that has a process now, which may have ended already.
func (s *Supervisor) attend(w *roster.Worker, pid int) error {
	w.PID = pid
	if end, ended := s.roster.Born(w.ID, pid); ended {
		s.died(w, end)
		s.limits.Scales.CountKills(s.loop)
		s.note(fleet.Exited{ID: w.ID})
		s.clear(w, pid)
		return nil
	}
	if w.Endpoint != nil {
		s.signs.Serve(w)
	}
	s.limits.Weigh(w)
	if !w.Rev.Config.Preload {
		return nil
	}
	if err := w.Endpoint.Acknowledge(); err != nil {
		s.do(w, orderKill)
		return err
	}
	s.signs.Hear(signs.Message{ID: w.ID, Executed: true})
	return nil
}

// giveUpOn ends a worker that has no process, and will have none: who makes it is not
// waited for any more.
func (s *Supervisor) giveUpOn(w *roster.Worker) {
	s.roster.GiveUp(w.ID)
	w.Gone = true
	w.Release()
	if !w.Rev.Config.Preload {
		s.note(fleet.Exited{ID: w.ID})
	} else if s.note(fleet.SpawnFailed{ID: w.ID}); s.births.Loaders.Cancel(w.ID) {
		s.clear(w, 0)
	}
}

// endUnwanted ends the process that was made for a worker after that was given up.
func (s *Supervisor) endUnwanted(w *roster.Worker, pid int) {
	if pid == 0 || s.knows(pid) || !s.hands.child(pid) {
		pid = 0 // it was reaped, and the pid may be another's
	} else if err := s.hands.signal(&s.leftovers, pid, w, orderKill); err != nil {
		s.log.Error("cannot end a worker that came too late", w.Fields(zap.Error(err))...)
	}
	s.clear(w, pid)
}

// do gives an order to the process of a worker, if it still has one. One that has none yet is given
// up, unless it is just being made: before its pid is known it may serve, and is then asked to finish.
func (s *Supervisor) do(w *roster.Worker, o order) {
	switch {
	case w.Gone:
	case w.PID == 0 && w.Making && o == orderStop: // see born
	case w.PID == 0:
		s.giveUpOn(w)
	default:
		if err := s.hands.signal(&s.leftovers, w.PID, w, o); err != nil {
			s.log.Error("cannot signal worker", w.Fields(zap.Stringer("order", o), zap.Error(err))...)
		}
	}
}
