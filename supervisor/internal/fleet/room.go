package fleet

import "slices"

// room is what may still be spawned in a step. It is found out once for all
// slots, and kept up to date by [Fleet.boot], [Fleet.activate] and [Fleet.vacate] alone.
type room struct {
	living    int     // processes in slots, but for those that SIGKILL does not end
	spares    int     // spares, told to go or not, but for those
	spare     *Worker // the one that is activated next; nil: none is ready
	missing   int     // empty slots, each of which needs a process
	starting  int     // workers that are
	still     bool    // nothing lives but what serves, and every slot is served that is in no backoff and has a lease
	whole     bool    // it is so of those in a backoff as well
	faltering bool    // a slot is in the backoff of the current revision
	awaited   bool    // a [Memory] is, by the successor of a stuck worker
	taken     []bool  // places, up to the highest; nil: not asked for yet
	place     int     // no lower one is free
	leases    *leases // who holds which; nil: not asked for yet
}

// survey returns the room that there is now.
func (f *Fleet) survey() *room {
	r := &room{
		living:   f.count(func(w *Worker) bool { return !w.unkillable && !w.Spare() }),
		spares:   f.count(func(w *Worker) bool { return !w.unkillable && w.Spare() }),
		starting: f.count(func(w *Worker) bool { return w.State == Starting }),
	}
	r.spare = f.spareIn(Ready)
	for i, s := range f.open() {
		if f.empty(i) {
			r.missing++
		}
		r.faltering = r.faltering || s.inBackoff(f.current.number, f.now)
	}
	f.settle(r)
	return r
}

// settle finds out whether anything is on its way, in a room whose numbers are right.
func (f *Fleet) settle(r *room) {
	r.still = !slices.ContainsFunc(f.remains, func(one *remains) bool { return !one.unkillable })
	served, waiting := 0, 0
	for i, s := range f.open() {
		switch {
		case f.server(i) != nil:
			served++
		case s.inBackoff(f.current.number, f.now):
			waiting++
		case !f.starved(r, i):
			r.still = false
		}
	}
	r.still = r.still && r.living == served && r.spares == f.count((*Worker).holding)
	r.whole = r.still && waiting == 0
}

// surge returns how many processes may live beyond the target.
func (f *Fleet) surge() int { return f.current.Surge.Of(f.current.target) }

// free returns how many processes may be spawned on top of those alive. Of one revision
// there may be more spares than of the next.
func (f *Fleet) free(r *room) int {
	return f.current.target + f.surge() - r.living - max(r.spares-f.current.Spares, 0)
}

// unclaimed returns how many processes may be spawned beside those that the empty
// slots will need.
func (f *Fleet) unclaimed(r *room) int { return f.free(r) - r.missing }

// freePlace returns the lowest place that no living worker has.
func (f *Fleet) freePlace(r *room) int {
	if r.taken == nil {
		r.taken = make([]bool, len(f.workers)+1)
		for _, w := range f.workers {
			if above := w.Place + 1 - len(r.taken); above > 0 {
				r.taken = append(r.taken, make([]bool, above)...)
			}
			r.taken[w.Place] = true
		}
	}
	for r.place < len(r.taken) && r.taken[r.place] {
		r.place++
	}
	r.place++
	return r.place - 1
}
