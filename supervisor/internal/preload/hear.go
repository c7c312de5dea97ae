//go:build linux

package preload

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loader"
	"github.com/gosuper/gosuper/supervisor/internal/outfit"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// complainEvery is how often it is said at most that something is wrong with a message.
const complainEvery = 10 * time.Second

// Ask asks the loader of a revision for a worker, which is to have the outfit. told
// learns the pid later, or why there is none; after an error it does not.
func (l *Loaders) Ask(revision, worker int, o *outfit.Outfit, told func(pid int, err error)) error {
	one := l.Of(revision)
	if one == nil {
		return loader.ErrGone
	}
	null, err := process.DevNull()
	if err != nil {
		return err
	}
	files := slices.Clone(o.Files)
	for i, fd := range files {
		if fd == process.Null {
			files[i] = null
		}
	}
	one.channel.Ask(loader.Request{Seq: worker, Env: o.Env, Files: files, Sent: o.Close, Answer: func(pid int, err error) {
		if err == nil {
			one.forks++
		}
		told(pid, err)
	}})
	return nil
}

// Hear takes note of what a loader, or a worker that it has made, said.
func (l *Loaders) Hear(m Message) {
	one := l.first(func(one *Loader) bool { return one.id == m.Loader })
	if one == nil {
		return
	}
	one.executed = one.executed || m.Executed
	l.hear(one, m.Said)
	l.drop(one)
	l.options.Leftovers.Sweep(nil) // which the birth of a worker may have kept from being done
}

// hear takes note of what was said. One that is gone was never ready for anybody.
func (l *Loaders) hear(one *Loader, said loader.Message) {
	if said.HasStatus {
		if one.says = said.Status; one.says != "" {
			l.options.Log.Info("loader says", one.fields(zap.String("status", said.Status))...)
		}
	}
	if said.ExtendTimeout > 0 {
		l.options.Note(fleet.LoaderExtended{Revision: one.number, By: said.ExtendTimeout})
	}
	if said.Ready && !one.channel.Gone() {
		delete(l.ended, one.number)
		l.options.Log.Info("loader ready", one.fields(zap.Duration("after", one.age()))...)
		l.options.Note(fleet.LoaderReady{Revision: one.number})
	}
	if err := one.channel.Heard(said, l.mayBeWorker); err != nil {
		l.complain(one, said, err)
	}
}

// mayBeWorker says whether a process may be a worker that nobody knows yet; nil: it may.
func (l *Loaders) mayBeWorker(pid int) error {
	switch {
	case l.options.Known(pid):
		return fmt.Errorf("process %d is said to be a worker, and is another one already", pid)
	case l.options.Roster.Ended(pid):
		return nil
	case !l.options.Child(pid):
		return fmt.Errorf("process %d is said to be a worker, and is no child of the master", pid)
	}
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		return fmt.Errorf("process %d is said to be a worker, and leads no session", pid)
	}
	return nil
}

// complain says what is wrong with a message. A process that answers what nobody has
// asked for, or too late, is to do nothing else.
func (l *Loaders) complain(one *Loader, m loader.Message, err error) {
	if now := time.Now(); now.Sub(one.complained) >= complainEvery {
		one.complained = now
		l.options.Log.Warn("a message of a loader or its workers is ignored", one.fields(zap.Int("sender", m.Sender), zap.Error(err))...)
	}
	if errors.Is(err, loader.ErrUnasked) && m.Spawned > 0 && !l.options.Known(m.Sender) && l.options.Child(m.Sender) {
		if err := l.options.Kill(m.Sender); err != nil {
			l.options.Log.Error("cannot end a worker that came too late", zap.Int("pid", m.Sender), zap.Error(err))
		}
	}
}
