//go:build linux

package preload

import (
	"cmp"
	"errors"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/worker/protocol"
)

// Blame tells the brain of those that hang.
func (l *Loaders) Blame(now time.Time) {
	for _, one := range l.All() {
		if !one.channel.Overdue(now) {
			continue
		}
		if !one.channel.Gone() {
			one.failure = "did not answer within " + protocol.SpawnTimeout.String()
			if one.channel.Closed() {
				one.failure = "closed its end of GOSUPER_LOADER_FD"
			}
			one.hung = true
			l.options.Note(fleet.LoaderHung{Revision: one.number})
			if l.options.State(one.number).State == fleet.LoaderStarting {
				l.kill(one)
			}
		}
		one.channel.Fail(errors.New("the loader " + cmp.Or(one.failure, "ended before it had made the worker")))
		l.drop(one)
	}
}

// Unload tells a loader that nobody needs it any more.
func (l *Loaders) Unload(a fleet.Unload) {
	one := l.Of(a.Revision)
	if one == nil {
		return
	}
	l.options.Log.Info("loader is not needed any more", one.fields(zap.String("reason", string(a.Reason)))...)
	if err := one.channel.End(); err != nil {
		l.options.Log.Error("cannot end loader", one.fields(zap.Error(err))...)
	}
}

// needsProtocol explains a loader that does not become ready.
const needsProtocol = "no READY=1 on GOSUPER_LOADER_FD within startup_timeout: with preload the command has to speak the loader protocol, " +
	"as python -m gosuper does; see gosuper help protocol"

// Abort asks a loader that hangs for its stacks. Its last lines up to now explain it;
// those that follow are the stacks.
func (l *Loaders) Abort(a fleet.AbortLoader) {
	one := l.Of(a.Revision)
	if one == nil {
		return
	}
	if a.Reason == fleet.ReasonStartup && one.failure == "" {
		one.failure = needsProtocol
	}
	one.failureLines = one.ExpectStacks()
	l.ended[one.number] = one.ending("")
	l.options.Log.Warn("loader hangs, asking for its stacks", one.fields(zap.String("reason", string(a.Reason)), zap.String("failure", one.failure),
		zap.Stringer("signal", one.abort), zap.Duration("age", one.age()))...)
	if one.channel.PID == 0 {
		return
	}
	if err := cmp.Or(process.Signal(one.channel.PID, one.abort), process.Continue(one.channel.PID)); err != nil {
		l.options.Log.Error("cannot signal loader", one.fields(zap.Error(err))...)
	}
}

// Kill ends a loader.
func (l *Loaders) Kill(a fleet.KillLoader) {
	if one := l.Of(a.Revision); one != nil {
		l.kill(one)
	}
}

// kill sends SIGKILL to a loader and all that it has started. One that is still to be
// started gets it then.
func (l *Loaders) kill(one *Loader) {
	if one.channel.PID == 0 {
		return
	}
	l.options.Log.Warn("killing loader", one.fields(zap.String("failure", one.failure))...)
	if err := l.options.Kill(one.channel.PID); err != nil {
		l.options.Log.Error("cannot kill loader", one.fields(zap.Error(err))...)
	}
}

// leftAtOnce explains a loader that was ready, and of which nobody could have known.
const leftAtOnce = "said READY=1 and ended before it could be asked for a worker"

// Died notes that a loader was reaped. Its workers live on. What it said before counts,
// however late it is heard.
func (l *Loaders) Died(one *Loader, end process.Status) {
	known := l.options.State(one.number)
	wasReady := !known.ReadyAt.IsZero()
	for _, m := range one.channel.Finish() {
		if l.hear(one, m); m.Ready {
			wasReady = true
			if known.State == fleet.LoaderStarting {
				one.failure = cmp.Or(one.failure, leftAtOnce)
			}
		}
	}
	l.options.Leftovers.Died(one.leader())
	l.WorkerDied(time.Now())
	asked := known.State == fleet.LoaderStopping || known.State == fleet.LoaderKilled && one.failure == ""
	if !asked && !wasReady && end == (process.Status{Code: protocol.ExitHopeless}) {
		l.options.Note(fleet.Hopeless{Revision: one.number})
	}
	l.options.Note(fleet.LoaderExited{Revision: one.number})
	one.channel.Reaped()
	e := one.ending(end.String())
	fields := one.fields(zap.String("status", e.Status), zap.Duration("age", one.age()), zap.Uint64("forks", one.forks))
	if asked {
		l.explain(one, zapcore.InfoLevel, "loader gone", fields...)
	} else {
		why := one.fault(known)
		l.ended[one.number], l.faults[one.number] = e, why
		l.options.Failed(incidents.Incident{
			PID: one.channel.PID, Generation: one.generation, At: time.Now().UTC().Round(0), Reason: string(why),
			Status: e.Status, Age: one.age(), Lines: e.Lines, Stacks: one.Stacks(),
		})
		what := "loader failed"
		if !known.ReadyAt.IsZero() {
			what = "loader ended, its workers live on"
		}
		l.explain(one, zapcore.ErrorLevel, what, append(fields, zap.String("reason", string(why)), zap.Strings("last_lines", e.Lines))...)
	}
	l.drop(one)
}

// explain writes the line about the end of a loader, behind what that wrote.
func (l *Loaders) explain(one *Loader, level zapcore.Level, message string, fields ...zap.Field) {
	passedOn := one.PassedOn()
	l.options.Log.Behind(func(atMost time.Duration) ([]zap.Field, bool) { return fields, passedOn(atMost) }, level, message)
}

// drop gives back what is held of a loader that is gone, when nobody waits for it any
// more.
func (l *Loaders) drop(one *Loader) {
	if !one.channel.Gone() || one.channel.Busy() {
		return
	}
	one.channel.Close()
	l.options.Roster.Leave(one.Tails()...)
	l.remove(one)
}
