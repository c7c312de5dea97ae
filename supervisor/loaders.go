//go:build linux

package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loader"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/worker/protocol"
)

// ask asks the loader of a worker's revision for it.
func (s *Supervisor) ask(w *roster.Worker, told func(pid int, err error)) error {
	l := s.loaders.of(w.Revision)
	if l == nil {
		return loader.ErrGone
	}
	o, err := s.outfit(w)
	if err == nil {
		err = o.Own()
	}
	null, nullErr := process.DevNull()
	if err := cmp.Or(err, nullErr); err != nil {
		o.Close()
		return err
	}
	files := slices.Clone(o.Files)
	for i, fd := range files {
		if fd == process.Null {
			files[i] = null
		}
	}
	l.way.Ask(loader.Request{Seq: w.ID, Env: o.Env, Files: files, Sent: o.Close, Answer: told})
	return nil
}

// hearLoader takes note of what a loader, or a worker that it has made, said.
func (s *Supervisor) hearLoader(m message) {
	l := s.loaders.first(func(p *preloader) bool { return p.id == m.loader })
	if l == nil {
		return
	}
	l.executed = l.executed || m.executed
	said := m.said
	if said.HasStatus {
		l.says = said.Status
		s.log.Info("loader says", l.fields(zap.String("status", said.Status))...)
	}
	if said.ExtendTimeout > 0 {
		s.note(fleet.LoaderExtended{Revision: l.number, By: said.ExtendTimeout})
	}
	if said.Ready {
		delete(s.loaders.ended, l.number)
		s.log.Info("loader ready", l.fields(zap.Duration("after", l.age()))...)
		s.note(fleet.LoaderReady{Revision: l.number})
	}
	if err := l.way.Heard(said, s.mayBeWorker); err != nil {
		s.complain(l, said, err)
	}
	s.dropLoader(l)
	s.leftovers.Sweep(nil) // which the birth of a worker may have kept from being done
}

// mayBeWorker says whether a process may be a worker that nobody knows yet; nil: it may.
func (s *Supervisor) mayBeWorker(pid int) error {
	switch {
	case s.knows(pid):
		return fmt.Errorf("process %d is said to be a worker, and is another one already", pid)
	case s.roster.Ended(pid):
		return nil
	case !s.hands.child(pid):
		return fmt.Errorf("process %d is said to be a worker, and is no child of the master", pid)
	}
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		return fmt.Errorf("process %d is said to be a worker, and leads no session", pid)
	}
	return nil
}

// complain says what is wrong with a message. A process that answers what nobody has
// asked for, or too late, is to do nothing else.
func (s *Supervisor) complain(l *preloader, m loader.Message, err error) {
	if now := time.Now(); now.Sub(l.complained) >= complainEvery {
		l.complained = now
		s.log.Warn("a message of a loader or its workers is ignored", l.fields(zap.Int("sender", m.Sender), zap.Error(err))...)
	}
	if errors.Is(err, loader.ErrUnasked) && m.Spawned > 0 && !s.knows(m.Sender) && s.hands.child(m.Sender) {
		if err := process.KillTree(m.Sender); err != nil {
			s.log.Error("cannot end a worker that came too late", zap.Int("pid", m.Sender), zap.Error(err))
		}
	}
}

// blameLoaders tells the brain of those that hang.
func (s *Supervisor) blameLoaders(now time.Time) {
	for _, l := range slices.Clone(s.loaders.all) {
		if !l.way.Overdue(now) {
			continue
		}
		if !l.way.Gone() {
			l.failure = "did not answer within " + protocol.SpawnTimeout.String()
			if l.way.Closed() {
				l.failure = "closed its end of GOSUPER_LOADER_FD"
			}
			s.note(fleet.LoaderHung{Revision: l.number})
			if s.fleet.Loader(l.number).State == fleet.LoaderStarting {
				s.killLoader(fleet.KillLoader{Revision: l.number, Reason: fleet.ReasonStartup})
			}
		}
		l.way.Fail(errors.New("the loader " + cmp.Or(l.failure, "ended before it had made the worker")))
		s.dropLoader(l)
	}
}

// unload tells a loader that nobody needs it any more.
func (s *Supervisor) unload(a fleet.Unload) {
	l := s.loaders.of(a.Revision)
	if l == nil {
		return
	}
	s.log.Info("loader is not needed any more", l.fields(zap.String("reason", string(a.Reason)))...)
	if err := l.way.End(); err != nil {
		s.log.Error("cannot end loader", l.fields(zap.Error(err))...)
	}
}

// needsProtocol explains a loader that does not become ready.
const needsProtocol = "no READY=1 on GOSUPER_LOADER_FD within startup_timeout: with preload the command has to speak the loader protocol, " +
	"as python -m gosuper does; see gosuper help protocol"

// killLoader ends a loader.
func (s *Supervisor) killLoader(a fleet.KillLoader) {
	l := s.loaders.of(a.Revision)
	if l == nil {
		return
	}
	if a.Reason == fleet.ReasonStartup && l.failure == "" {
		l.failure = needsProtocol
	}
	if a.Reason == fleet.ReasonStartup || a.Reason == fleet.ReasonWatchdog {
		l.words = l.LastLines()
		s.loaders.ended[l.number] = l.ending("")
	}
	s.log.Warn("killing loader", l.fields(zap.String("reason", string(a.Reason)), zap.String("failure", l.failure))...)
	s.endLoader(l)
}

// endLoader sends SIGKILL to a loader and all that it has started. One that is still to
// be started gets it then.
func (s *Supervisor) endLoader(l *preloader) {
	if l.way.PID == 0 {
		return
	}
	if err := process.KillTree(l.way.PID); err != nil {
		s.log.Error("cannot kill loader", l.fields(zap.Error(err))...)
	}
}

// loaderDied notes that a loader was reaped. Its workers live on.
func (s *Supervisor) loaderDied(l *preloader, end process.Status) {
	known := s.fleet.Loader(l.number)
	s.leftovers.Died(l.leader())
	s.loaders.exit = time.Now()
	s.note(fleet.LoaderExited{Revision: l.number})
	l.way.Reaped()
	s.roster.Await(l.PassedOn)
	e := l.ending(end.String())
	fields := l.fields(zap.String("status", e.Status), zap.Duration("age", l.age()))
	if known.State == fleet.LoaderStopping || known.State == fleet.LoaderKilled && l.failure == "" {
		s.log.Info("loader gone", fields...)
	} else {
		s.loaders.ended[l.number] = e
		what := "loader failed"
		if !known.ReadyAt.IsZero() {
			what = "loader ended, its workers live on"
		}
		s.log.Error(what, append(fields, zap.Strings("last_lines", e.Lines))...)
	}
	s.dropLoader(l)
}

// dropLoader gives back what is held of a loader that is gone, when nobody waits for it
// any more.
func (s *Supervisor) dropLoader(l *preloader) {
	if !l.way.Gone() || l.way.Busy() {
		return
	}
	l.way.Close()
	s.roster.Leave(l.Tails()...)
	s.loaders.all = slices.DeleteFunc(s.loaders.all, func(p *preloader) bool { return p == l })
}

// loaderEnding is how the last loader of a revision failed, as far as it is known.
func (s *Supervisor) loaderEnding(revision int) books.Ending {
	if e := s.loaders.ended[revision]; e != nil {
		return *e
	}
	return books.Ending{}
}
