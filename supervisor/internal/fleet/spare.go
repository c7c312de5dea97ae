package fleet

import (
	"cmp"
	"slices"
)

// A spare is a worker without a slot: it is started like any other, says that it is ready,
// and accepts nothing. It becomes the worker of a slot that has none, or whose worker is to
// be replaced, and another one is started in its stead once every slot is served. It belongs
// to the revision in force: one of another revision goes.

// NoSlot is the slot of a spare.
const NoSlot = -1

// Spare says whether the worker has no slot yet, and accepts nothing.
func (w *Worker) Spare() bool { return w.Slot == NoSlot }

// holding says whether the worker is a spare that is ready.
func (w *Worker) holding() bool { return w.Spare() && w.State == Ready }

// Spares returns how many spares are ready, and how many are asked for.
func (f *Fleet) Spares() (ready, asked int) {
	return f.count((*Worker).holding), f.current.Spares
}

// activateMissing makes spares the workers of the slots that nobody serves, whether or not
// they are in a backoff, which is for boots. Where nobody is starting either, a spare that is
// does as well.
func (f *Fleet) activateMissing(r *room) {
	comes := f.spareIn(Starting)
	for i, s := range f.open() {
		if r.spare == nil && comes == nil {
			return
		}
		if f.server(i) != nil || f.reserved(i) {
			continue
		}
		switch {
		case r.spare != nil:
			f.activate(r, r.spare, i, s.why)
		case f.empty(i):
			f.activate(r, comes, i, s.why)
			comes = f.spareIn(Starting)
		}
	}
}

// spareIn returns the first spare in the state, best one that need not be replaced itself. One
// whose wish for that has to wait goes on waiting. nil: there is none.
func (f *Fleet) spareIn(state State) (spare *Worker) {
	for _, w := range f.workers {
		if !w.Spare() || w.State != state || w.wish != "" && w.Recycle == "" {
			continue
		}
		if f.fresh(w) {
			return w
		}
		if spare == nil {
			spare = w
		}
	}
	return spare
}

// activate makes a spare the worker of a slot, and has whoever was there before it finish.
func (f *Fleet) activate(r *room, w *Worker, slot int, why Reason) {
	if f.empty(slot) {
		r.missing--
	}
	r.spares--
	r.living++
	w.Slot, w.takenAt = slot, f.now
	f.assign(w)
	r.spare = f.spareIn(Ready)
	f.bench.why = ReasonSpare
	if w.State == Ready {
		f.keep(w)
	}
	f.do(Activate{w.ID, slot, why})
	f.thin(slot)
	r.starting = f.count(func(w *Worker) bool { return w.State == Starting }) // who is surplus there goes
	f.settle(r)
}

// spawnSpares starts the spares that are missing, when every slot is served and nothing
// crashes again and again.
func (f *Fleet) spawnSpares(r *room) {
	c := f.current
	if r.spares >= f.affordable() || f.Reloading() || !f.canHold() || r.faltering || f.bench.inBackoff(c.number, f.now) {
		return
	}
	for i := range f.open() {
		if f.server(i) == nil && !f.starved(r, i) {
			return
		}
	}
	why := cmp.Or(f.bench.why, ReasonSpare)
	for r.spares < f.affordable() && r.living+r.spares < c.target+f.surge()+c.Spares {
		if !f.hasRoom(r, NoSlot, c, why) || f.boot(r, NoSlot, c, why) == 0 {
			return
		}
	}
}

// affordable returns for how many spares there is memory, of those that are asked for.
func (f *Fleet) affordable() int {
	n := f.current.Spares
	if room := f.sizing.room; f.current.elastic() && room > 0 {
		return min(n, max(room-f.current.target, 0))
	}
	return n
}

// canHold says whether a worker of the revision in force accepts nothing while it is a spare.
// It says so once if it is known that none does.
func (f *Fleet) canHold() bool {
	c := f.current
	if c.holds || c.spareless {
		return c.holds
	}
	for _, w := range f.workers {
		if w.State == Ready && f.own(w) && !w.holds && (w.said || !w.cooperates && w.due.IsZero()) {
			c.spareless = true
			f.do(Spareless{w.ID})
			break
		}
	}
	return false
}

// retireSpare tells a spare to end that can never be activated.
func (f *Fleet) retireSpare(w *Worker) {
	if !f.own(w) || w.Stuck || w.said && !w.holds {
		f.drain(w, f.staleness(w))
	}
}

// recycleSpare tells a spare to end that is to be replaced, if nobody else of them is on the
// way. Its successor comes after it, since no worker is missing meanwhile.
func (f *Fleet) recycleSpare(r *room) {
	if f.Reloading() || r.faltering || f.bench.inBackoff(f.current.number, f.now) || r.spares > f.count((*Worker).holding) {
		return
	}
	for _, w := range f.workers {
		if w.holding() && w.Recycle != "" && f.loaded(f.current, w.Recycle) {
			f.drain(w, w.Recycle)
			return
		}
	}
}

// yieldLease has a spare give up its lease for the canary of a candidate, and says whether
// one does, or a lease is about to become free.
func (f *Fleet) yieldLease(r *room, c *revision) bool {
	return slices.ContainsFunc(f.remains, func(one *remains) bool { return !one.unkillable }) ||
		f.yieldSpare(r, func(w *Worker) bool { return w.Spare() && slices.ContainsFunc(c.Leases, w.Lease.clashes) })
}

// yieldSpare has a spare of those go for the canary of a candidate, which has what a canary
// needs, and says whether one does.
func (f *Fleet) yieldSpare(r *room, of func(*Worker) bool) bool {
	for _, w := range f.workers {
		if of(w) && !w.unkillable && !w.serving() {
			return true
		}
	}
	for _, w := range f.workers {
		if of(w) && !w.unkillable {
			f.vacate(r, w, ReasonReload)
			return true
		}
	}
	return false
}
