package fleet

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/guard"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// hang is a request, or a worker, that does not end for some time.
type hang struct {
	reason    Reason
	innocents int
	since     time.Time
	until     time.Time
}

// board is what the guard reads of a worker of the world.
type board struct {
	*world
	id int
}

// hangs returns what is wrong with the worker now.
func (b board) hangs() (h hang, ok bool) {
	h, ok = b.hung[b.id]
	return h, ok && !b.now.After(h.until)
}

func (b board) AppendSlots(to []scoreboard.Slot) []scoreboard.Slot {
	h, hangs := b.hangs()
	if hangs && h.reason == ReasonTimeout {
		to = append(to, scoreboard.Slot{Start: h.since.UnixNano(), Progress: h.since.UnixNano()})
	}
	for i := range h.innocents {
		to = append(to, scoreboard.Slot{Index: i + 1, Start: b.now.UnixNano(), Progress: b.now.UnixNano()})
	}
	for i := range b.streams[b.id] {
		to = append(to, scoreboard.Slot{Index: 10 + i, Start: b.now.Add(-2 * time.Second).UnixNano(), Progress: b.now.UnixNano()})
	}
	return to
}

// Counters has a beat that goes on with time, unless the worker is silent.
func (b board) Counters() scoreboard.Counters {
	at := b.now
	if h, hangs := b.hangs(); hangs && h.reason == ReasonWatchdog {
		at = h.since
	}
	return scoreboard.Counters{Beat: uint64(at.UnixNano())}
}

// charges are the workers that the loop has the guard look at.
func (w *world) charges() iter.Seq[guard.Charge] {
	return func(yield func(guard.Charge) bool) {
		for x := range w.fleet.Workers() {
			if x.Watched() && !yield(guard.Charge{ID: x.ID, Board: board{w, x.ID}, Header: x.Cooperates(), Linger: x.Lingers(), Limits: w.limits[x.Revision]}) {
				return
			}
		}
	}
}

// limitsFor draws how soon something of a worker is past its time.
func limitsFor(r *rand.Rand) (l guard.Limits) {
	if n := r.IntN(3); n > 0 {
		l.Timeout = time.Second + time.Duration(r.IntN(4000))*time.Millisecond
	} else {
		l.Watchdog = 2*time.Second + time.Duration(r.IntN(4000))*time.Millisecond
	}
	l.Failures = rowOf * r.IntN(2)
	return l
}

// look tells the brain what is to be seen of the workers now. Somebody who looks again in
// the same moment would look for ever.
func (w *world) look(due time.Time) string {
	for _, id := range slices.Sorted(maps.Keys(w.hung)) {
		h := w.hung[id]
		switch chance := w.r.IntN(8); {
		case chance == 0 && h.innocents > 0:
			h.innocents--
		case chance == 1 && h.innocents < 2 && !w.calm:
			h.innocents++
		}
		w.hung[id] = h
	}
	w.flow()
	seen := Looked{Due: due}
	for _, sight := range w.guard.Look(w.now) {
		seen.Sights = append(seen.Sights, Sight(sight))
	}
	if broken := w.step(seen); broken != "" {
		return broken
	}
	if next := w.guard.Next(); !next.IsZero() && !next.After(w.now) {
		return fmt.Sprintf("time stands still: what was due at %v is due again", next)
	}
	return ""
}

// delay keeps the loop from its work in one of so many steps, in some worlds.
func (w *world) delay(n int) {
	if w.tardy && !w.calm && w.r.IntN(n) == 0 {
		w.now = w.now.Add(w.ms(3000))
	}
}

// hang has a worker hang from now on.
func (w *world) hang(x *Worker, innocents int) {
	h := hang{ReasonTimeout, innocents, w.now, w.now.Add(w.ms(6000))}
	if w.limits[x.Revision].Watchdog > 0 {
		h.reason = ReasonWatchdog
	}
	if w.r.IntN(2) == 0 {
		h.until = w.now.Add(time.Hour)
	}
	w.hung[x.ID] = h
	delete(w.visible, x.ID) // what it did before is over
}

// unseen says whether a worker hangs for longer than it takes for a look to see it,
// and for looks to agree on it, with a loop that is as late as it can be. Since when
// it could be seen is the world's own knowledge, and not of guard or brain. A loop so
// late that it takes the dead for unkillable, whose ends it has not heard of, has ever more
// news to be late with: no time can be said for that one.
func (w *world) unseen() string {
	const most = 8*time.Second + Lateness + LateGrace + 3*time.Second
	for id, h := range w.hung {
		x := w.oracle.alive[id]
		if x == nil || w.oracle.undeads() >= 3 || !x.ready || !x.header || x.told || x.killed || !x.aborted.IsZero() || w.now.After(h.until) {
			w.visible[id] = time.Time{}
			continue
		}
		if w.visible[id].IsZero() {
			w.visible[id] = w.now
		}
		limits := w.limits[x.Revision]
		if since := w.visible[id]; w.now.Sub(since) > max(limits.Timeout, limits.Watchdog)+protocol.OverdueGrace+most && !x.found {
			return fmt.Sprintf("what hangs is not seen: %d, for %v", id, w.now.Sub(since))
		}
	}
	return ""
}
