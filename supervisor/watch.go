//go:build linux

package supervisor

import (
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// A cooperating worker ends a request itself when it is due. What is still
// there stuckGrace later does not react: the handler ignores its context, or
// the whole worker hangs. While a stuck worker has innocent requests its board
// is looked at every innocentLook.
const (
	stuckGrace   = time.Second
	innocentLook = 100 * time.Millisecond
)

// limits are the times of a request after which it is due, in nanoseconds as
// on the board; 0: no limit.
type limits struct{ timeout, stream, upgrade, request int64 }

func limitsOf(c *config.Config) limits {
	return limits{int64(c.Timeout), int64(c.StreamTimeout.Duration), int64(c.UpgradeTimeout), int64(c.RequestTimeout)}
}

// shortest is the earliest that a request which starts now can be due; 0: never.
func (l limits) shortest() int64 {
	least := int64(0)
	for _, d := range []int64{l.timeout, l.stream, l.upgrade, l.request} {
		if d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// due is when the request in a slot is due, on the board's clock;
// math.MaxInt64: never. What is on the board may be anything.
func (l limits) due(s scoreboard.Slot) int64 {
	idle := l.timeout
	switch {
	case s.Flags&scoreboard.Upgraded != 0:
		idle = l.upgrade
	case s.Flags&scoreboard.Streaming != 0:
		idle = l.stream
	}
	return min(after(s.Progress, idle), after(s.Start, l.request))
}

// after adds a limit to a time.
func after(start, limit int64) int64 {
	if limit == 0 || start < 0 || start > math.MaxInt64-limit {
		return math.MaxInt64
	}
	return start + limit
}

// watch is what it takes to look at the board of a worker: whether it is stuck
// the brain knows.
type watch struct {
	look    time.Time         `state:"look"`  // when to look next; zero: nothing can become due
	beats   bool              `state:"beats"` // it said WATCHDOG=1 at least once
	beat    uint64            `state:"beat"`
	beatAt  time.Time         `state:"beat_at"`
	slots   []scoreboard.Slot `state:"-"`
	overdue scoreboard.Slot   `state:"-"` // the oldest request that the last look found past its time
}

// begin starts the watch over a worker that became ready. There is nothing to
// see of a plain one, unless it says WATCHDOG=1.
func (w *worker) begin(now time.Time) {
	w.watch.beatAt = now
	w.watch.look = time.Time{}
	if w.cooperates || w.watch.beats {
		w.watch.look = w.nextLook(now, math.MaxInt64)
	}
}

// nextLook is the earliest time at which something of the worker can be past
// its time: the earliest request in flight, one that starts now, or its beat.
func (w *worker) nextLook(now time.Time, earliest int64) time.Time {
	l := limitsOf(w.revision.config)
	wait := time.Duration(math.MaxInt64)
	if d := l.shortest(); d > 0 && w.cooperates {
		wait = min(wait, time.Duration(d)+stuckGrace)
	}
	if earliest < math.MaxInt64 {
		wait = min(wait, time.Duration(earliest-scoreboard.Monotonic())+stuckGrace)
	}
	if d := w.revision.config.Watchdog; d > 0 {
		// A beat counts from when it was seen, so twice within the time.
		wait = min(wait, w.watch.beatAt.Add(d+stuckGrace).Sub(now), d/2)
	}
	if wait == math.MaxInt64 {
		return time.Time{}
	}
	return now.Add(max(wait, time.Millisecond))
}

// patrol looks at the boards when the time of one has come, and tells the brain
// what is to be seen there.
func (s *Supervisor) patrol(now time.Time) {
	due := s.nextPatrol()
	if due.IsZero() || due.After(now) {
		return
	}
	var sights []fleet.Sight
	// All of them, so that the looks at an idle fleet fall together.
	for _, w := range s.workers {
		if !w.watch.look.IsZero() && !w.gone {
			sights = append(sights, s.inspect(w, now))
			if w.cooperates {
				s.tally.Add(w.ID, now, w.reading())
			}
		}
	}
	s.dropped.tell(s.log, s.tally, now)
	slices.SortFunc(sights, func(a, b fleet.Sight) int { return a.ID - b.ID })
	s.step(fleet.Looked{Due: due, Sights: sights})
}

// nextPatrol is when the first board is to be looked at; zero: never.
func (s *Supervisor) nextPatrol() (next time.Time) {
	for _, w := range s.workers {
		if t := w.watch.look; !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// inspect reads the board of a worker: what of it is past its time and does not
// end, and what else it has.
func (s *Supervisor) inspect(w *worker, now time.Time) fleet.Sight {
	l, clock := limitsOf(w.revision.config), scoreboard.Monotonic()
	w.watch.slots = w.view().AppendSlots(w.watch.slots[:0])
	earliest, sight := int64(math.MaxInt64), fleet.Sight{ID: w.ID}
	if w.silent(now) {
		sight.Stuck = fleet.ReasonWatchdog
	}
	for _, slot := range w.watch.slots {
		due := l.due(slot)
		if after(due, int64(stuckGrace)) <= clock {
			if sight.Stuck != fleet.ReasonTimeout || slot.Start < w.watch.overdue.Start {
				w.watch.overdue = slot
			}
			sight.Stuck = fleet.ReasonTimeout
			continue
		}
		if slot.Flags&scoreboard.Ended == 0 {
			sight.Innocents++
		}
		earliest = min(earliest, due)
	}
	if sight.Stuck == "" {
		w.watch.look = w.nextLook(now, earliest)
		return sight
	}
	if known, _ := s.fleet.Worker(w.ID); !w.until.IsZero() && w.until.Sub(now) < cutMargin {
		sight.Innocents = max(sight.Innocents, known.Innocents) // it cuts them about now
	}
	w.watch.look = now.Add(innocentLook)
	return sight
}

// silent says whether the worker gave no sign of life for too long.
func (w *worker) silent(now time.Time) bool {
	limit := w.revision.config.Watchdog
	if limit == 0 {
		return false
	}
	if beat := w.view().Counters().Beat; beat != w.watch.beat {
		w.watch.beat, w.watch.beatAt = beat, now
	}
	return now.Sub(w.watch.beatAt) >= limit+stuckGrace
}

// blame writes the line that says why a worker has to go: what the last look
// saw of it.
func (s *Supervisor) blame(w *worker, a fleet.FoundStuck) {
	fields := w.fields()
	if w.cooperates {
		fields = append(fields, zap.Int("other_requests", a.Innocents))
	}
	if a.Reason == fleet.ReasonWatchdog {
		s.log.Error("worker is stuck: no sign of life", append(fields, zap.Duration("silent", time.Since(w.watch.beatAt).Round(time.Millisecond)))...)
		return
	}
	slot, clock := w.watch.overdue, scoreboard.Monotonic()
	r, _ := w.view().Request(slot.Index)
	s.log.Error("worker is stuck: a request does not end", append(fields, zap.String("method", r.Method), zap.String("path", r.Path), zap.String("request_id", r.ID),
		zap.Duration("request_age", time.Duration(clock-slot.Start).Round(time.Millisecond)),
		zap.Duration("idle", time.Duration(clock-slot.Progress).Round(time.Millisecond)))...)
}

// lost counts, once, the innocent requests that the end of a stuck worker takes
// along.
func (s *Supervisor) lost(w *worker, known fleet.Worker) {
	if !known.Stuck || w.watch.look.IsZero() {
		return
	}
	w.watch.look = time.Time{}
	s.innocentsLost += uint64(known.Innocents)
	fields := w.fields()
	if w.cooperates {
		fields = append(fields, zap.Int("requests_lost", known.Innocents))
	}
	s.log.Warn("ending stuck worker", fields...)
}
