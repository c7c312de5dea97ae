//go:build linux

package supervisor

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

// weigh makes sure that the worker's memory is looked at if it has a limit.
func (s *Supervisor) weigh(w *roster.Worker) {
	if r := w.Rev; r.Config.MaxWorkerMemory > 0 || r.Memory.Hard > 0 {
		s.scales.Watch(s.loop, scales.Workers{
			Loads: s.toWeigh, Exceed: s.tooHeavy,
			Complain: func(err error) { s.log.Warn("max_worker_memory has no effect at the moment", zap.Error(err)) },
		})
	}
}

// toWeigh lists the workers that have a limit, and all that there are.
func (s *Supervisor) toWeigh() (all []scales.Load, living map[int]bool) {
	living = map[int]bool{}
	for f := range s.fleet.Workers() {
		w := s.roster.Of(f.ID)
		living[f.ID] = true
		if w.Gone || w.PID == 0 || f.State.Ending() {
			continue
		}
		r := w.Rev
		one := scales.Load{Worker: scales.Worker{ID: w.ID, PID: w.PID}, Hard: uint64(r.Memory.Hard)}
		if f.State == fleet.Ready && f.Recycle == "" {
			one.Soft = uint64(r.Config.MaxWorkerMemory)
		}
		if r.Config.Preload && s.loaders.Unreliable(time.Now()) {
			one.Soft, one.Hard = 0, 0
		}
		if r.Config.MaxWorkerMemory > 0 || r.Memory.Hard > 0 {
			all = append(all, one)
		}
	}
	for _, l := range s.loaders.Leaders() {
		living[scales.LoaderID(&l.PID)] = true
	}
	return all, living
}

// tooHeavy has workers replaced, or killed, that are above a limit.
func (s *Supervisor) tooHeavy(heavy []scales.Excess) {
	defer s.step()
	for _, h := range heavy {
		w := s.roster.Of(h.ID)
		if w == nil || w.Gone {
			continue
		}
		fields := w.Fields(zap.Stringer("memory", mebibytes(h.Bytes)), zap.String("kind", string(h.Kind)), zap.Duration("age", w.Age()))
		if !h.Deadly() {
			s.slim(w, append(fields, zap.Stringer("max_worker_memory", config.Size(h.Soft))))
			continue
		}
		w.Failure = "took " + mebibytes(h.Bytes).String() + ", more than max_worker_memory_hard"
		s.log.Error("worker takes too much memory", append(fields, zap.Stringer("max_worker_memory_hard", config.Size(h.Hard)))...)
		s.note(fleet.Oversized{ID: h.ID})
	}
}

// slim has a worker replaced for its memory.
func (s *Supervisor) slim(w *roster.Worker, fields []zap.Field) {
	if !s.scales.MaySlim(w.Slot, time.Now()) {
		w.Rev.WarnTooLow(s.log, fields...)
		return
	}
	s.log.Warn("worker takes too much memory and is replaced", fields...)
	s.note(fleet.Recycle{ID: w.ID, Reason: fleet.ReasonMemory})
}

// mebibytes rounds a size for people.
func mebibytes(bytes uint64) config.Size {
	return max(config.Size(bytes+uint64(config.MiB)/2)/config.MiB, 1) * config.MiB
}

// explainKill says of a worker that ran out of memory that it did.
func (s *Supervisor) explainKill(w *roster.Worker, known fleet.Worker) {
	if w.Status.Signal == syscall.SIGKILL && known.State != fleet.Killed && s.scales.OutOfMemory() {
		w.Failure = cmp.Or(w.Failure, "out of memory")
	}
}
