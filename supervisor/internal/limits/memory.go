//go:build linux

package limits

import (
	"cmp"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
)

// Weigh makes sure that the worker's memory is looked at if it has a limit.
func (l *Limits) Weigh(w *roster.Worker) {
	if r := w.Rev; r.Config.MaxWorkerMemory > 0 || r.Memory.Hard > 0 {
		l.Scales.Watch(l.options.Loop, scales.Workers{
			Loads: l.loads, Exceed: l.exceed,
			Complain: func(err error) { l.options.Log.Warn("max_worker_memory has no effect at the moment", zap.Error(err)) },
		})
	}
}

// loads lists the workers that have a limit, and all that there are.
func (l *Limits) loads() (all []scales.Load, living map[int]bool) {
	living = map[int]bool{}
	if l.options.Revisions.Current.Config.MaxWorkerMemoryHard == config.SizeAuto {
		l.Stale(time.Now(), readAgain)
	}
	for f := range l.options.Fleet.Workers() {
		w := l.options.Roster.Of(f.ID)
		living[f.ID] = true
		if w.Gone || w.PID == 0 || f.State.Ending() {
			continue
		}
		r := w.Rev
		one := scales.Load{Worker: scales.Worker{ID: w.ID, PID: w.PID}, Hard: uint64(r.Memory.Hard)}
		if f.State == fleet.Ready && f.Recycle == "" {
			one.Soft = uint64(r.Config.MaxWorkerMemory)
		}
		if r.Config.Preload && l.options.Loaders.Unreliable(time.Now()) {
			one.Soft, one.Hard = 0, 0
		}
		if r.Config.MaxWorkerMemory > 0 || r.Memory.Hard > 0 {
			all = append(all, one)
		}
	}
	for _, one := range l.options.Loaders.Leaders() {
		living[scales.LoaderID(&one.PID)] = true
	}
	return all, living
}

// exceed has workers replaced, or killed, that are above a limit.
func (l *Limits) exceed(heavy []scales.Excess) {
	defer l.options.Step()
	for _, h := range heavy {
		w := l.options.Roster.Of(h.ID)
		if w == nil || w.Gone {
			continue
		}
		fields := w.Fields(zap.Stringer("memory", mebibytes(h.Bytes)), zap.String("kind", string(h.Kind)), zap.Duration("age", w.Age()))
		if !h.Deadly() {
			l.recycle(w, append(fields, zap.Stringer("max_worker_memory", config.Size(h.Soft))))
			continue
		}
		w.Failure = "took " + mebibytes(h.Bytes).String() + ", more than max_worker_memory_hard"
		l.options.Log.Error("worker takes too much memory", append(fields, zap.Stringer("max_worker_memory_hard", config.Size(h.Hard)))...)
		l.options.Note(fleet.Oversized{ID: h.ID})
	}
}

// recycle has a worker replaced for its memory.
func (l *Limits) recycle(w *roster.Worker, fields []zap.Field) {
	if !l.Scales.MayRecycle(w.Slot, time.Now()) {
		w.Rev.WarnTooLow(l.options.Log, fields...)
		return
	}
	l.options.Log.Warn("worker takes too much memory and is replaced", fields...)
	l.options.Note(fleet.Recycle{ID: w.ID, Reason: fleet.ReasonMemory})
}

// mebibytes rounds a size for people.
func mebibytes(bytes uint64) config.Size {
	return max(config.Size(bytes+uint64(config.MiB)/2)/config.MiB, 1) * config.MiB
}

// ExplainKill says of a worker that ran out of memory that it did, and calls then when that
// is known: at once of one that was not killed, or by us.
func (l *Limits) ExplainKill(w *roster.Worker, known fleet.Worker, then func()) {
	if w.Status.Signal != syscall.SIGKILL || known.State == fleet.Killed {
		then()
		return
	}
	l.Scales.OutOfMemory(func(kernel bool) {
		if kernel {
			w.Failure = cmp.Or(w.Failure, "out of memory")
		}
		then()
	})
}
