//go:build linux

package supervisor

import (
	"context"
	"errors"
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// How often the memory of workers with a limit is looked at. A worker over the
// hard limit is to be gone within a second; one over the other limit has to be
// found there again overFor later, as memory also comes and goes. A slot loses a
// worker to the lower limit once in slimFor at most: a limit below what workers
// take from their start would have the master do nothing but replace them.
const (
	weighHard = 500 * time.Millisecond
	weighSoft = time.Second
	overFor   = time.Second
	slimFor   = 10 * time.Second
)

// What a round makes of the figures of memory: one that it finds may be so old,
// so that each round has a new one, and it waits for those so long. What comes
// later counts in the next round.
const (
	weighFresh = weighHard / 2
	weighWait  = 50 * time.Millisecond
)

// complainAgain is how often it is said that memory cannot be looked at, as when
// there are no descriptors left. It is tried on.
const complainAgain = time.Minute

// tree is the processes of a worker, a [process.Tree].
type tree interface {
	Resident() uint64
	Private() (uint64, error)
	Memory() (uint64, process.MemoryKind, error)
}

// trees is [process.Trees].
func trees(pids []int) ([]tree, error) {
	found, err := process.Trees(pids)
	all := make([]tree, len(found))
	for i, t := range found {
		all[i] = t
	}
	return all, err
}

// weighed is a worker with a limit on its memory, and what it was found to take.
type weighed struct {
	id, pid    int
	soft, hard uint64 // in bytes; 0: does not matter

	bytes uint64 // when that is more than the lower of the two, else 0
	kind  process.MemoryKind
	over  time.Duration // for how long it has been above soft; below 0: it is not
}

// weigh makes sure that the worker's memory is looked at if it has a limit.
// That takes a goroutine of its own, for as long as there are such workers.
func (s *Supervisor) weigh(w *worker) {
	if r := w.revision; !s.weighing && (r.config.MaxWorkerMemory > 0 || r.memory.Hard > 0) {
		s.weighing = true
		go s.weighAll()
	}
}

// weighAll is the goroutine.
func (s *Supervisor) weighAll() {
	known := map[int]*suspicion{}
	var complained time.Time
	for {
		var all []weighed
		var living map[int]bool
		if s.ask(context.Background(), func() { all, living = s.toWeigh() }) != nil || len(all) == 0 {
			return
		}
		s.footprints.keep(living)
		heavy, err := s.readAll(all, known)
		if err == nil && len(heavy) > 0 {
			err = s.ask(context.Background(), func() { s.tooHeavy(heavy) })
		}
		if errors.Is(err, errEnded) {
			return
		}
		if err != nil && time.Since(complained) >= complainAgain {
			complained = time.Now()
			s.askAnyway(func() { s.log.Warn("max_worker_memory has no effect at the moment", zap.Error(err)) })
		}
		pause := weighSoft
		for _, w := range all {
			if w.hard > 0 {
				pause = weighHard
			}
		}
		select {
		case <-s.ended:
			return
		case <-time.After(pause):
		}
	}
}

// toWeigh lists the workers that have a limit, and all that there are. If none
// has the goroutine ends.
func (s *Supervisor) toWeigh() (all []weighed, living map[int]bool) {
	living = map[int]bool{}
	for f := range s.fleet.Workers() {
		w := s.workers[f.ID]
		living[f.ID] = true
		if w.gone || f.State == fleet.Stopping {
			continue
		}
		r := w.revision
		one := weighed{id: w.ID, pid: w.pid, hard: uint64(r.memory.Hard)}
		if f.State == fleet.Ready && f.Recycle == "" {
			one.soft = uint64(r.config.MaxWorkerMemory)
		}
		if r.config.MaxWorkerMemory > 0 || r.memory.Hard > 0 {
			all = append(all, one)
		}
	}
	s.weighing = len(all) > 0
	return all, living
}

// readAll returns those that are above one of their limits. The memory in the
// sense of the limits is read only where the resident set, which is more and
// costs far less, is above them. One that cannot be measured for now, as it hangs
// in a page fault, does not keep the others from it.
func (s *Supervisor) readAll(all []weighed, known map[int]*suspicion) (heavy []weighed, err error) {
	pids := make([]int, len(all))
	for i, w := range all {
		pids[i] = w.pid
	}
	found, err := s.hands.trees(pids)
	if err != nil {
		return nil, err
	}
	suspects := map[int]tree{}
	for i, w := range all {
		if w.exceeded(found[i].Resident()) {
			suspects[w.id] = found[i]
		}
	}
	begin := time.Now()
	s.footprints.renew(suspects, weighFresh, weighWait)
	for _, w := range all {
		if suspects[w.id] == nil {
			continue
		}
		its := known[w.id]
		if its == nil {
			its = &suspicion{since: begin.Add(-weighFresh)}
			known[w.id] = its
		}
		figure := s.footprints.of(w.id)
		if figure.at.Before(its.since) {
			continue // it is gone, or not measured yet
		}
		w.bytes, w.kind, w.over = figure.bytes, figure.kind, its.over(figure, w.soft)
		if w.exceeded(w.bytes) {
			heavy = append(heavy, w)
		}
	}
	maps.DeleteFunc(known, func(id int, _ *suspicion) bool { return suspects[id] == nil })
	return heavy, nil
}

// suspicion is of a worker whose resident set is above a limit.
type suspicion struct {
	since time.Time // figures before it say nothing
	above time.Time // of the first figure above the soft limit; zero: the last was not
}

// over is for how long the worker has been above the soft limit; below 0: it is
// not.
func (s *suspicion) over(f footprint, soft uint64) time.Duration {
	if soft == 0 || f.bytes <= soft {
		s.above = time.Time{}
		return -1
	}
	if s.above.IsZero() {
		s.above = f.at
	}
	return f.at.Sub(s.above)
}

// exceeded says whether so many bytes are above one of the limits.
func (w *weighed) exceeded(bytes uint64) bool {
	return w.soft > 0 && bytes > w.soft || w.hard > 0 && bytes > w.hard
}

// tooHeavy has workers replaced, or killed, that are above a limit.
func (s *Supervisor) tooHeavy(heavy []weighed) {
	defer s.step()
	for _, h := range heavy {
		w := s.workers[h.id]
		if w == nil || w.gone {
			continue
		}
		fields := w.fields(zap.Stringer("memory", mebibytes(h.bytes)), zap.String("kind", string(h.kind)), zap.Duration("age", w.age()))
		switch {
		case h.hard > 0 && h.bytes > h.hard:
			w.failure = "took " + mebibytes(h.bytes).String() + ", more than max_worker_memory_hard"
			s.log.Error("worker takes too much memory", append(fields, zap.Stringer("max_worker_memory_hard", config.Size(h.hard)))...)
			s.note(fleet.Oversized{ID: h.id})
		case h.over >= overFor:
			s.slim(w, append(fields, zap.Stringer("max_worker_memory", config.Size(h.soft))))
		}
	}
}

// slim has a worker replaced for its memory.
func (s *Supervisor) slim(w *worker, fields []zap.Field) {
	now := time.Now()
	if now.Sub(s.slimmed[w.Slot]) < slimFor {
		if !w.revision.tooLow {
			w.revision.tooLow = true
			s.log.Warn("max_worker_memory is too low: a worker exceeds it soon after its start, and is replaced later", fields...)
		}
		return
	}
	s.slimmed[w.Slot] = now
	s.log.Warn("worker takes too much memory and is replaced", fields...)
	s.note(fleet.Recycle{ID: w.ID, Reason: fleet.ReasonMemory})
}

// mebibytes rounds a size for people.
func mebibytes(bytes uint64) config.Size {
	return max(config.Size(bytes+uint64(config.MiB)/2)/config.MiB, 1) * config.MiB
}
