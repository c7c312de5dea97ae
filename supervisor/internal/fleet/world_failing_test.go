package fleet

import (
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// ailments are the failures of the workers of a world, all of which have requests all the
// time: of some alone, and in an outage of all.
type ailments struct {
	sick     map[int]time.Time // since when a worker fails while others do not
	from, to time.Time         // of the last outage
	murmurs  map[int]time.Time // when a worker says next that it fails
	alone    map[int]time.Time // since when a worker is to be replaced for it; zero: it is not
	replaced time.Time         // when one was last
}

// rowOf is how many failures in a row a worker may have.
const rowOf = 5

// outage says whether all fail.
func (w *world) outage() bool { return !w.now.Before(w.from) && w.now.Before(w.to) }

// failsSince is when a worker began to fail; zero: it does not.
func (w *world) failsSince(id int) (since time.Time) {
	since = w.sick[id]
	if w.outage() && (since.IsZero() || w.from.Before(since)) {
		since = w.from
	}
	return since
}

// slowness is how long it takes a worker to fail as often as it may: they differ.
func slowness(id int) time.Duration { return time.Duration(id%4) * 150 * time.Millisecond }

func (b board) Failures() scoreboard.Failures {
	if x := b.fleet.worker(b.id); x == nil || x.Spare() {
		return scoreboard.Failures{} // it has no requests
	}
	since := b.failsSince(b.id)
	if since.IsZero() {
		return scoreboard.Failures{Since: 1, Succeeded: b.now.Add(-time.Millisecond).UnixNano()}
	}
	f := scoreboard.Failures{Row: 1, Since: since.Add(time.Millisecond).UnixNano(), Succeeded: since.UnixNano()}
	if b.now.Sub(since) >= slowness(b.id) {
		f.Row = rowOf + uint32(b.now.Sub(since)/time.Second)
	}
	return f
}

// farewell is the last word of a worker of which nobody asked one.
func (w *world) farewell(id int) Event {
	if w.r.IntN(2) == 0 {
		return SaidFailed{id}
	}
	return SaidStopping{id}
}

// sicken has a worker fail from now on.
func (w *world) sicken(id int) {
	if w.sick[id].IsZero() {
		w.sick[id] = w.now
		w.murmurs[id] = w.now.Add(slowness(id))
	}
}

// fail has all workers fail for a while.
func (w *world) fail() {
	if w.outage() {
		return
	}
	w.from, w.to = w.now, w.now.Add(w.ms(30_000))
	for _, x := range w.fleet.workers {
		w.murmurs[x.ID] = w.now.Add(slowness(x.ID))
	}
}

// heal ends all that.
func (w *world) heal() { w.sick, w.to = map[int]time.Time{}, time.Time{} }

// murmur has those say it that fail.
func (w *world) murmur() {
	for id, at := range w.murmurs {
		switch {
		case w.oracle.alive[id] == nil || w.failsSince(id).IsZero():
			delete(w.murmurs, id)
		case !at.After(w.now):
			w.murmurs[id] = w.now.Add(2 * time.Second)
			if w.oracle.alive[id].Slot != NoSlot { // a spare has nothing to fail at
				w.guard.Suspect(id, w.now)
			}
		}
	}
}

// judgeFailing holds what the brain does about failures to what the world knows of them.
func (w *world) judgeFailing(actions []Action) string {
	for _, a := range actions {
		found, is := a.(FoundFailing)
		if !is {
			continue
		}
		if w.sick[found.ID].IsZero() {
			return "replaced for what all suffer from"
		}
		if most := w.oracle.settings[w.oracle.current].BackoffMax; !w.replaced.IsZero() && w.now.Sub(w.replaced) < most {
			return "replaced for failures too soon after another"
		}
		w.replaced = w.now
	}
	const longest = 45 * time.Second
	for id := range w.sick {
		x := w.oracle.alive[id]
		if x == nil || !w.serves(x) || x.recycling || w.outage() || w.fleet.Stopping() || !w.wellBeside(id) {
			w.alone[id] = time.Time{}
			continue
		}
		if w.alone[id].IsZero() {
			w.alone[id] = w.now
		}
		if w.now.Sub(w.alone[id]) > longest {
			return "failing worker left alone"
		}
	}
	return ""
}

// serves says whether a worker is ready and its failures count.
func (w *world) serves(x *life) bool {
	return x.ready && x.Slot != NoSlot && x.header && !x.told && !x.killed && x.aborted.IsZero() && w.limits[x.Revision].Failures > 0
}

// wellBeside says whether another worker answers well.
func (w *world) wellBeside(id int) bool {
	for other, x := range w.oracle.alive {
		if other != id && w.serves(x) && w.failsSince(other).IsZero() {
			return true
		}
	}
	return false
}
