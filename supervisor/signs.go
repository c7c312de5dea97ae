//go:build linux

package supervisor

import (
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// What a worker does not say has to be looked for, as long as it is young: that it
// waits for connections, which makes a plain one ready, and the header that one
// may still write which counts as ready already. The older it gets, the less often;
// when it is not young any more nobody looks, and an idle fleet costs nothing.
const (
	waitsLook  = 50 * time.Millisecond // and from then on a 16th of its age, but waitsMost
	waitsMost  = time.Second
	headerLook = 100 * time.Millisecond // and from then on a quarter of its age
	together   = 20 * time.Millisecond  // looks that fall so close together are one
)

// looks are those at the processes of workers: one pass through /proc for all of whom
// it is time, and then a rest, however many there are.
type looks struct {
	queue []*roster.Worker // whom the next pass is about
	from  time.Time        // when it may begin
	busy  bool             // one is under way
}

// How much of the time is spent on looks: one part in so many. Processes that are made
// meanwhile are not to wait for them.
const (
	looksShare       = 4
	looksShareForked = 32
)

// nextSigns is when to look at the first worker; zero: never.
func (s *Supervisor) nextSigns() (next time.Time) {
	if len(s.looks.queue) > 0 && !s.looks.busy {
		next = s.looks.from
	}
	for w := range s.roster.All() {
		next = soonest(next, w.Signs.Due)
	}
	return next
}

// lookForSigns looks at all workers whose time has come.
func (s *Supervisor) lookForSigns(now time.Time) {
	for w := range s.roster.All() {
		if !w.Signs.Due.IsZero() && !w.Signs.Due.After(now.Add(together)) {
			s.lookOut(w, now)
		}
	}
	s.beginPass(now)
}

// lookOut looks at a worker if there is something to be seen of it now, and
// decides when to do so next.
func (s *Supervisor) lookOut(w *roster.Worker, now time.Time) {
	s.readHeader(w)
	known, alive := s.fleet.Worker(w.ID)
	w.Signs.Due = time.Time{}
	if !alive || w.Gone {
		return
	}
	age := now.Sub(known.Spawned)
	switch from := known.LookFrom(); {
	case from.After(now):
		w.Signs.Due = from
	case !from.IsZero():
		s.lookAtProcesses(w)
	case known.HeaderUntil().After(now) && w.Memory != nil:
		w.Signs.Due = soonest(now.Add(max(headerLook, age/4)), s.lookAtQueues(w, now))
	case w.Rev.Unserved.Any():
		w.Signs.Due = soonest(now.Add(unservedLook), s.lookAtQueues(w, now))
	}
}

// lookAtProcesses has the next pass look whether the worker waits for connections.
func (s *Supervisor) lookAtProcesses(w *roster.Worker) {
	if w.Signs.Looking {
		return
	}
	w.Signs.Looking = true
	s.looks.queue = append(s.looks.queue, w)
	if now := time.Now(); s.looks.from.Before(now) {
		s.looks.from = now
	}
}

// beginPass has a goroutine look at the processes of those for whom it is time. What that
// reads belongs to the workers, which may be able to keep their reader waiting.
func (s *Supervisor) beginPass(now time.Time) {
	if s.looks.busy || len(s.looks.queue) == 0 || s.looks.from.After(now) {
		return
	}
	workers := s.looks.queue
	s.looks.queue, s.looks.busy = nil, true
	asked := make([]process.Asked, len(workers))
	for i, w := range workers {
		asked[i] = process.Asked{PID: w.PID, Sockets: w.Rev.Sockets.Inodes(w.Slot), User: w.Rev.Credential}
	}
	others := slices.Collect(maps.Keys(s.roster.PIDs()))
	go func() {
		s.hands.look(asked, others, func(seen map[int]process.Waiting) {
			s.loop.Report(func() { s.saw(workers, seen) })
		})
		s.loop.Report(func() { s.endPass(time.Since(now)) })
	}()
}

// endPass has the next pass wait in proportion to what this one took.
func (s *Supervisor) endPass(took time.Duration) {
	share := time.Duration(looksShare)
	if s.loop.MainBusy() {
		share = looksShareForked
	}
	s.looks.busy, s.looks.from = false, time.Now().Add(min((share-1)*took, waitsMost))
}

// saw takes note of what was seen of the processes of some of the workers.
func (s *Supervisor) saw(workers []*roster.Worker, all map[int]process.Waiting) {
	for i, w := range workers {
		if _, seen := all[i]; seen {
			w.Signs.Looking = false
			s.readHeader(w)
		}
	}
	s.step()
	for i, w := range workers {
		if seen, ok := all[i]; ok && !w.Gone && s.roster.Of(w.ID) == w {
			s.conclude(w, seen)
		}
	}
	s.step()
}

// conclude draws the conclusions from a look at the processes of a worker.
func (s *Supervisor) conclude(w *roster.Worker, seen process.Waiting) {
	known, _ := s.fleet.Worker(w.ID)
	w.Signs.Elsewhere = seen.Elsewhere
	now := time.Now()
	switch {
	case known.Cooperates():
	case known.LookFrom().IsZero():
		w.Rev.Unserved.See(seen.On, seen.Unsure)
		s.warnUnserved(w, now)
	case seen.Any() || seen.Unsure:
		w.Signs.Idle = false
		w.Rev.Unserved.See(seen.On, seen.Unsure)
		if !seen.Any() {
			s.warnBlind(w)
		}
		s.note(fleet.Waits{ID: w.ID})
	default:
		w.Signs.Idle = true
		w.Rev.WarnElsewhere(s.log, seen.Elsewhere, w.Fields()...)
		w.Signs.Due = now.Add(min(max(waitsLook, now.Sub(known.Spawned)/16), waitsMost))
		if len(seen.Elsewhere) > 0 {
			w.Rev.Unserved.See(seen.On, seen.Unsure)
			s.warnUnserved(w, now)
			w.Signs.Due = soonest(w.Signs.Due, s.lookAtQueues(w, now))
		}
	}
}

// unservedLook is how often a socket that nobody serves is looked at in the long run.
const unservedLook = 30 * time.Second

// lookAtQueues notes at which addresses that nobody serves somebody waits, and says
// when to look again; zero: when it suits. Where somebody has waited for long the
// worker, one of those that could serve them, is looked at once more before it is
// said.
func (s *Supervisor) lookAtQueues(w *roster.Worker, now time.Time) (next time.Time) {
	next, overdue := w.Rev.Unserved.Look(now, w.Rev.Sockets)
	if overdue {
		s.lookAtProcesses(w)
	}
	return next
}

// warnUnserved warns, once for each, of addresses at which somebody waits in vain,
// just after a look at the worker.
func (s *Supervisor) warnUnserved(w *roster.Worker, now time.Time) {
	urls := w.Rev.Sockets.URLs()
	for _, i := range w.Rev.Unserved.Tell(now) {
		fields := []zap.Field{zap.String("bind", urls[i]), zap.Int("descriptor", 3+i)}
		if len(w.Signs.Elsewhere) > 0 {
			fields = append(fields, zap.Strings("listens_on", w.Signs.Elsewhere))
		}
		s.log.Warn("nobody accepts the connections to an address: the command serves another socket, or only the first", fields...)
	}
}

// warnBlind says once that plain workers count as ready because of their age
// alone.
func (s *Supervisor) warnBlind(w *roster.Worker) {
	if s.books.Once("blind") {
		s.log.Warn("cannot see whether workers wait for connections: a plain one counts as ready after 1s; let it say READY=1, or give ready a duration", w.Fields()...)
	}
}
