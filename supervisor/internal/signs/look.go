//go:build linux

package signs

import (
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
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

// look is what is looked for of one worker.
type look struct {
	due       time.Time // when to look next; zero: there is nothing to be seen
	queued    bool      // a pass is to look at its processes, or does just now
	idle      bool      // it waited for no connection when they were looked at last
	elsewhere []string  // where they listened then beside the sockets that it was given
	newer     bool      // it was said that it speaks a version of the protocol unknown here
}

// of is what is looked for of a worker.
func (s *Signs) of(w *roster.Worker) *look {
	l := s.looks[w.ID]
	if l == nil {
		l = &look{}
		s.looks[w.ID] = l
	}
	return l
}

// Forget forgets a worker that is gone.
func (s *Signs) Forget(id int) { delete(s.looks, id) }

// Idle is what was seen of a worker that waits for no connection; "": it waits for some, or
// nobody knows.
func (s *Signs) Idle(w *roster.Worker) (why string) {
	l := s.looks[w.ID]
	if l == nil || !l.idle {
		return ""
	}
	why = "it waits for connections on no socket that it was given"
	if len(l.elsewhere) > 0 {
		why += ", and listens on " + strings.Join(l.elsewhere, " and ")
	}
	return why
}

// pass is a pass through /proc: one for all of whom it is time, and then a rest, however
// many there are.
type pass struct {
	queue []*roster.Worker // whom the next one is about
	from  time.Time        // when it may begin
	busy  bool             // one is under way
}

// How much of the time is spent on passes: one part in so many. Processes that are made
// meanwhile are not to wait for them.
const (
	passShare       = 4
	passShareForked = 32
)

// Due is when to look at the first worker; zero: never.
func (s *Signs) Due() (next time.Time) {
	if len(s.pass.queue) > 0 && !s.pass.busy {
		next = s.pass.from
	}
	for _, l := range s.looks {
		next = loop.Soonest(next, l.due)
	}
	return next
}

// Look looks at all workers whose time has come.
func (s *Signs) Look(now time.Time) {
	for id, l := range s.looks {
		if !l.due.IsZero() && !l.due.After(now.Add(together)) {
			s.lookOut(s.options.Roster.Of(id), now)
		}
	}
	s.beginPass(now)
}

// lookOut looks at a worker if there is something to be seen of it now, and
// decides when to do so next.
func (s *Signs) lookOut(w *roster.Worker, now time.Time) {
	s.readHeader(w)
	known, alive := s.options.Fleet.Worker(w.ID)
	l := s.of(w)
	l.due = time.Time{}
	if !alive || w.Gone {
		return
	}
	age := now.Sub(known.Spawned)
	switch from := known.LookFrom(); {
	case from.After(now):
		l.due = from
	case !from.IsZero():
		s.lookAtProcesses(w)
	case known.HeaderUntil().After(now) && w.Memory != nil:
		l.due = loop.Soonest(now.Add(max(headerLook, age/4)), s.lookAtQueues(w, now))
	case w.Rev.Unserved.Any():
		l.due = loop.Soonest(now.Add(unservedLook), s.lookAtQueues(w, now))
	}
}

// Ready goes on with a worker that has just become ready.
func (s *Signs) Ready(w *roster.Worker) {
	if known, _ := s.options.Fleet.Worker(w.ID); known.Cooperates() || w.Memory == nil {
		return
	}
	s.of(w).due = time.Now().Add(headerLook)
	if w.Rev.Config.Ready.Mode == config.ReadyAfter {
		s.lookAtProcesses(w) // else it was looked at before
	}
}

// lookAtProcesses has the next pass look whether the worker waits for connections.
func (s *Signs) lookAtProcesses(w *roster.Worker) {
	l := s.of(w)
	if l.queued {
		return
	}
	l.queued = true
	s.pass.queue = append(s.pass.queue, w)
	if now := time.Now(); s.pass.from.Before(now) {
		s.pass.from = now
	}
}

// beginPass has a goroutine look at the processes of those for whom it is time. What that
// reads belongs to the workers, which may be able to keep their reader waiting.
func (s *Signs) beginPass(now time.Time) {
	if s.pass.busy || len(s.pass.queue) == 0 || s.pass.from.After(now) {
		return
	}
	workers := s.pass.queue
	s.pass.queue, s.pass.busy = nil, true
	asked := make([]process.Asked, len(workers))
	for i, w := range workers {
		asked[i] = process.Asked{PID: w.PID, Sockets: w.Rev.Sockets.Inodes(w.Slot), User: w.Rev.Credential}
	}
	others := slices.Collect(s.options.Roster.PIDs())
	go func() {
		s.options.Look(asked, others, func(seen map[int]process.Waiting) {
			s.options.Loop.Report(func() { s.saw(workers, seen) })
		})
		s.options.Loop.Report(func() { s.endPass(time.Since(now)) })
	}()
}

// endPass has the next pass wait in proportion to what this one took.
func (s *Signs) endPass(took time.Duration) {
	share := time.Duration(passShare)
	if s.options.Loop.MainBusy() {
		share = passShareForked
	}
	s.pass.busy, s.pass.from = false, time.Now().Add(min((share-1)*took, waitsMost))
}

// saw takes note of what was seen of the processes of some of the workers.
func (s *Signs) saw(workers []*roster.Worker, all map[int]process.Waiting) {
	for i, w := range workers {
		if _, seen := all[i]; seen && s.options.Roster.Of(w.ID) == w {
			s.of(w).queued = false
			s.readHeader(w)
		}
	}
	s.options.Step()
	for i, w := range workers {
		if seen, ok := all[i]; ok && !w.Gone && s.options.Roster.Of(w.ID) == w {
			s.conclude(w, seen)
		}
	}
	s.options.Step()
}

// conclude draws the conclusions from a look at the processes of a worker.
func (s *Signs) conclude(w *roster.Worker, seen process.Waiting) {
	known, _ := s.options.Fleet.Worker(w.ID)
	l, now := s.of(w), time.Now()
	l.elsewhere = seen.Elsewhere
	switch {
	case known.Cooperates():
	case known.LookFrom().IsZero():
		w.Rev.Unserved.See(seen.On, seen.Unsure)
		s.warnUnserved(w, now)
	case seen.Any() || seen.Unsure:
		l.idle = false
		w.Rev.Unserved.See(seen.On, seen.Unsure)
		if !seen.Any() {
			s.warnBlind(w)
		}
		s.options.Note(fleet.Waits{ID: w.ID})
	default:
		l.idle = true
		w.Rev.WarnElsewhere(s.options.Log, seen.Elsewhere, w.Fields()...)
		l.due = now.Add(min(max(waitsLook, now.Sub(known.Spawned)/16), waitsMost))
		if len(seen.Elsewhere) > 0 {
			w.Rev.Unserved.See(seen.On, seen.Unsure)
			s.warnUnserved(w, now)
			l.due = loop.Soonest(l.due, s.lookAtQueues(w, now))
		}
	}
}

// unservedLook is how often a socket that nobody serves is looked at in the long run.
const unservedLook = 30 * time.Second

// lookAtQueues notes at which addresses that nobody serves somebody waits, and says
// when to look again; zero: when it suits. Where somebody has waited for long the
// worker, one of those that could serve them, is looked at once more before it is
// said.
func (s *Signs) lookAtQueues(w *roster.Worker, now time.Time) (next time.Time) {
	next, overdue := w.Rev.Unserved.Look(now, w.Rev.Sockets)
	if overdue {
		s.lookAtProcesses(w)
	}
	return next
}

// warnUnserved warns, once for each, of addresses at which somebody waits in vain,
// just after a look at the worker.
func (s *Signs) warnUnserved(w *roster.Worker, now time.Time) {
	urls := w.Rev.Sockets.Of(w.Slot).URLs()
	for _, i := range w.Rev.Unserved.Tell(now) {
		fields := []zap.Field{zap.String("bind", urls[i]), zap.Int("descriptor", 3+i)}
		if elsewhere := s.of(w).elsewhere; len(elsewhere) > 0 {
			fields = append(fields, zap.Strings("listens_on", elsewhere))
		}
		s.options.Log.Warn("nobody accepts the connections to an address: the command serves another socket, or only the first", fields...)
	}
}

// warnBlind says once that plain workers count as ready because of their age
// alone.
func (s *Signs) warnBlind(w *roster.Worker) {
	if s.options.Once("blind") {
		s.options.Log.Warn("cannot see whether workers wait for connections: a plain one counts as ready after 1s; let it say READY=1, or give ready a duration", w.Fields()...)
	}
}
