package guard

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// A cooperating worker ends a request itself when it is due. What is still there so
// long after that does not react: the handler ignores its context, or the whole worker
// hangs.
const grace = protocol.OverdueGrace

// While a stuck worker has innocent requests its board is looked at so often.
const again = 100 * time.Millisecond

// A worker that lingers is looked at often, and a request that has taken so long lasts.
const (
	often   = 250 * time.Millisecond
	lasting = time.Second
)

// Board is what is read of a worker. What is on it may be anything.
type Board interface {
	AppendSlots(to []scoreboard.Slot) []scoreboard.Slot // the requests in flight
	Counters() scoreboard.Counters
	Failures() scoreboard.Failures
}

// Charge is a worker that is looked at.
type Charge struct {
	ID     int
	Board  Board
	Header bool // it speaks the protocol: what is on its board counts
	Linger bool // it is to go when few of its requests last
	Limits Limits
}

// Sight is what a look saw of one worker.
type Sight struct {
	ID        int
	Overdue   bool // a request is past its time and does not end
	Silent    bool // there was no sign of life for too long
	Innocents int  // the other requests
	Streams   int  // of them, how many last, where the worker lingers
	// Failing is since when it has failed as often in a row as it may; zero: it has not.
	// Succeeded is when the latest request began that it answered well; zero: that is not
	// known.
	Failing, Succeeded time.Time
}

// Record is what is known of a worker from one look to the next. The next guard can
// go on with it.
type Record struct {
	Due    time.Time `state:"look"`    // when to look; zero: nothing can become due
	Beats  bool      `state:"beats"`   // it gave a sign of life that is not on its board
	Beat   uint64    `state:"beat"`    // of its board, as last seen
	BeatAt time.Time `state:"beat_at"` // when a sign of life was seen last, or when the watch began
}

// Guard looks after workers. It belongs to one goroutine.
type Guard struct {
	clock   func() int64
	watches map[int]*watch
	slots   []scoreboard.Slot
}

type watch struct {
	Record
	charge  Charge
	kept    bool            // it is looked at
	overdue scoreboard.Slot // the oldest request that the last look found past its time
	failing time.Time       // since when looks have found it failing; zero: the last did not
}

// New returns a guard of nobody. clock is that of the boards.
func New(clock func() int64) *Guard { return &Guard{clock: clock, watches: map[int]*watch{}} }

// of returns the watch over a worker.
func (g *Guard) of(id int) *watch {
	w := g.watches[id]
	if w == nil {
		w = &watch{}
		g.watches[id] = w
	}
	return w
}

// Keep has these workers looked at from now on, and nobody else. It has to be told so
// when that, or what is known of one of them, may have changed, and may be told so more
// often: whoever is new, or has become one of whom there is something to see, has all
// the time of its limits from now. It takes time in proportion to the workers.
func (g *Guard) Keep(now time.Time, charges iter.Seq[Charge]) {
	for _, w := range g.watches {
		w.kept = false
	}
	for c := range charges {
		w := g.of(c.ID)
		w.charge, w.kept = c, true
		g.begin(w, now)
		if c.Linger && (w.Due.IsZero() || w.Due.After(now.Add(often))) {
			w.Due = now.Add(time.Millisecond)
		}
	}
	for _, w := range g.watches {
		if !w.kept {
			w.Due = time.Time{}
		}
	}
}

// begin has a worker looked at if there is something to be seen of it and nobody looks
// yet.
func (g *Guard) begin(w *watch, now time.Time) {
	if w.kept && w.Due.IsZero() && (w.charge.Header || w.Beats) {
		w.BeatAt = now
		w.Due = g.next(w, now, scoreboard.Never)
	}
}

// Forget forgets a worker that is gone.
func (g *Guard) Forget(id int) { delete(g.watches, id) }

// Record returns what is known of a worker.
func (g *Guard) Record(id int) Record { return g.of(id).Record }

// Resume goes on with what another guard knew of a worker, once that is kept again.
func (g *Guard) Resume(id int, r Record) { g.of(id).Record = r }

// Beat notes a sign of life.
func (g *Guard) Beat(id int, now time.Time) {
	w := g.of(id)
	w.Beats, w.BeatAt = true, now
	g.begin(w, now)
}

// Suspect has all workers looked at now whose failures count, since one of them says that
// it has as many in a row as it may, which is news.
func (g *Guard) Suspect(id int, now time.Time) {
	if w := g.of(id); w.kept && w.charge.counts() && w.failing.IsZero() {
		w.Due = now
	}
}

// counts says whether the failures of a worker count.
func (c *Charge) counts() bool { return c.Header && c.Limits.Failures > 0 }

// Overdue returns the oldest request of a worker that the last look found past its
// time.
func (g *Guard) Overdue(id int) scoreboard.Slot { return g.of(id).overdue }

// Heard returns when there was a sign of life of a worker last.
func (g *Guard) Heard(id int) time.Time { return g.of(id).BeatAt }

// Next returns when to look next; zero: never.
func (g *Guard) Next() (next time.Time) {
	for _, w := range g.watches {
		if t := w.Due; w.kept && !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// Look returns what there is to be seen of each worker in whom something can become
// due, by id. All are looked at together, so that the looks at an idle fleet fall
// together.
func (g *Guard) Look(now time.Time) (sights []Sight) {
	clock := g.clock()
	for id, w := range g.watches {
		if w.kept && (!w.Due.IsZero() || w.charge.counts()) {
			sights = append(sights, g.inspect(id, w, now, clock))
		}
	}
	slices.SortFunc(sights, func(a, b Sight) int { return a.ID - b.ID })
	return sights
}

// inspect reads one board.
func (g *Guard) inspect(id int, w *watch, now time.Time, clock int64) Sight {
	earliest := int64(scoreboard.Never)
	sight := Sight{ID: id, Silent: w.silent(now)}
	g.count(w, &sight, now, clock)
	g.slots = w.charge.Board.AppendSlots(g.slots[:0])
	for _, slot := range g.slots {
		due := w.charge.Limits.Due(slot)
		if due <= clock-int64(grace) {
			if !sight.Overdue || slot.Start < w.overdue.Start {
				w.overdue = slot
			}
			sight.Overdue = true
			continue
		}
		if slot.Flags&scoreboard.Ended == 0 {
			sight.Innocents++
			if w.charge.Linger && clock-slot.Start >= int64(lasting) {
				sight.Streams++
			}
		}
		earliest = min(earliest, due)
	}
	if sight.Overdue || sight.Silent {
		w.Due = now.Add(again)
	} else {
		w.Due = g.next(w, now, earliest)
	}
	if due := now.Add(often); w.charge.Linger && (w.Due.IsZero() || due.Before(w.Due)) {
		w.Due = due
	}
	if !w.failing.IsZero() {
		// Others may answer well later, and the longer that takes the less it matters when.
		if due := now.Add(min(max(now.Sub(w.failing), soon), rarely)); w.Due.IsZero() || due.Before(w.Due) {
			w.Due = due
		}
	}
	return sight
}

// A worker that fails is looked at soon again, and rarely in the long run.
const (
	soon   = 5 * time.Millisecond
	rarely = 10 * time.Second
)

// count sees how the worker has answered lately. The clock is that of its board, on which
// any time may stand.
func (g *Guard) count(w *watch, sight *Sight, now time.Time, clock int64) {
	if !w.charge.counts() {
		return
	}
	at := func(then int64) time.Time {
		if then <= 0 {
			return time.Time{}
		}
		return now.Add(-time.Duration(max(clock-then, 0)))
	}
	f := w.charge.Board.Failures()
	sight.Succeeded = at(f.Succeeded)
	if int64(f.Row) < int64(w.charge.Limits.Failures) {
		w.failing = time.Time{}
		return
	}
	sight.Failing = cmp.Or(at(f.Since), now)
	w.failing = cmp.Or(w.failing, now)
}

// silent says whether the worker gave no sign of life for too long.
func (w *watch) silent(now time.Time) bool {
	limit := w.charge.Limits.Watchdog
	if limit == 0 {
		return false
	}
	if beat := w.charge.Board.Counters().Beat; beat != w.Beat {
		w.Beat, w.BeatAt = beat, now
	}
	return now.Sub(w.BeatAt) >= limit+grace
}

// next is the earliest time at which something of the worker can be past its time:
// the earliest request in flight, one that starts now, or its sign of life.
func (g *Guard) next(w *watch, now time.Time, earliest int64) time.Time {
	wait := time.Duration(math.MaxInt64)
	if d := w.charge.Limits.Shortest(); d > 0 && w.charge.Header {
		wait = min(wait, d+grace)
	}
	if earliest < scoreboard.Never {
		wait = min(wait, time.Duration(earliest-g.clock())+grace)
	}
	if d := w.charge.Limits.Watchdog; d > 0 {
		// A beat counts from when it was seen, so twice within the time.
		wait = min(wait, w.BeatAt.Add(d+grace).Sub(now), d/2)
	}
	if wait == math.MaxInt64 {
		return time.Time{}
	}
	return now.Add(max(wait, time.Millisecond))
}

// Limits are the times of a worker and its requests, and the number of failures, after
// which something is wrong; 0: no limit.
type Limits struct {
	scoreboard.Limits
	Watchdog time.Duration // without a sign of life
	Failures int           // in a row
}
