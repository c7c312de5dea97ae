//go:build linux

package preload

import (
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/loader"
	"github.com/gosuper/gosuper/supervisor/internal/outfit"
	"github.com/gosuper/gosuper/supervisor/internal/output"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
)

// Start has the command of a revision be started as its loader.
func (l *Loaders) Start(a fleet.Load, r *revision.Revision) {
	one := &Loader{id: l.last + 1, number: a.Revision, generation: a.Generation, started: time.Now(), abort: r.Config.AbortSignal.Number}
	l.last = one.id
	if why, failed := l.faults[a.Revision]; failed {
		l.options.Restarted(why)
	} else if one.id > 1 {
		l.options.Restarted(fleet.ReasonReload)
	}
	delete(l.faults, a.Revision)
	l.all = append(l.all, one)
	o, err := l.outfit(one, r)
	if err == nil {
		err = o.Own()
	}
	if beside := l.beside(one); err == nil && a.Reason == fleet.ReasonReload && len(beside) > 0 {
		l.options.Room(beside, func(err error) { l.begin(one, a, r, o, err) })
		return
	}
	l.begin(one, a, r, o, err)
}

// beside are the processes of the other loaders.
func (l *Loaders) beside(one *Loader) (pids []int) {
	for other := range l.Alive() {
		if other != one && other.channel.PID != 0 {
			pids = append(pids, other.channel.PID)
		}
	}
	return pids
}

// begin has the process of a loader be made, unless something is in the way.
func (l *Loaders) begin(one *Loader, a fleet.Load, r *revision.Revision, o *outfit.Outfit, err error) {
	if err != nil {
		o.Close()
		l.notStarted(one, err)
		return
	}
	l.options.Make(func() (pid int, err error) {
		defer o.Close()
		return process.Start(r.Spec(o, config.Worker{}, func() { l.options.Deliver(Message{Loader: one.id, Executed: true}, one.channel.Done()) }))
	}, func(pid int, err error) {
		if err != nil {
			l.notStarted(one, err)
			return
		}
		one.channel.PID = pid
		l.serve(one)
		l.options.Log.Info("loader started", one.fields(zap.String("reason", string(a.Reason)))...)
		if l.options.State(one.number).State >= fleet.LoaderAborted {
			l.kill(one)
		}
	}, func(end process.Status) { l.Died(one, end) })
}

// notStarted notes that a loader could not be started.
func (l *Loaders) notStarted(one *Loader, err error) {
	l.ended[one.number], l.faults[one.number] = &books.Ending{Status: err.Error(), Hint: hint.Of(err)}, fleet.ReasonStartup
	l.options.Log.Error("cannot start loader", append([]zap.Field{zap.Int("generation", one.generation)}, hint.Fields(err)...)...)
	l.options.Note(fleet.LoaderExited{Revision: one.number})
	one.Output.Close()
	if one.channel != nil {
		one.channel.Close()
	}
	l.remove(one)
}

// remove strikes a loader off.
func (l *Loaders) remove(one *Loader) {
	l.all = slices.DeleteFunc(l.all, func(other *Loader) bool { return other == one })
}

// outfit makes what ties the master to a loader, and puts together what that is given.
// It is to be closed after an error as well.
func (l *Loaders) outfit(one *Loader, r *revision.Revision) (o *outfit.Outfit, err error) {
	o = &outfit.Outfit{}
	if one.channel, err = loader.New(); err != nil {
		return o, err
	}
	o.Lend(one.channel.CloseChild, one.CloseWriteEnds)
	if err := one.Open(output.Options{To: l.options.Output, Apart: r.Config.Log.Workers == config.Wrapped, Owner: r.Credential}); err != nil {
		return o, err
	}
	given := outfit.Loader{Config: r.Config, Environ: l.options.Environ, Identity: r.Identity, Generation: one.generation, Channel: one.channel.ChildFd()}
	given.Stdout, given.Stderr = one.FDs()
	given.Fill(o)
	return o, nil
}

// serve has what the loader says be delivered.
func (l *Loaders) serve(one *Loader) {
	one.channel.Serve(func(m loader.Message, over <-chan struct{}) bool {
		return l.options.Deliver(Message{Loader: one.id, Said: m}, over)
	})
}

// Resume undoes [Loader.Pause].
func (l *Loaders) Resume(one *Loader) { l.serve(one) }

// Reopen goes on with what loaders say, of which another image of this process wrote.
func (l *Loaders) Reopen() {
	for _, one := range l.all {
		l.reopen(one)
	}
}

func (l *Loaders) reopen(one *Loader) {
	one.executed = true
	errs := [2]error{one.channel.Reopen(), one.Output.Reopen(l.options.Output, 0)}
	if errs[0] == nil {
		l.serve(one)
	}
	if err := errors.Join(errs[:]...); err != nil {
		l.options.Log.Error("cannot go on with all that a loader says", one.fields(zap.Error(err))...)
	}
}
