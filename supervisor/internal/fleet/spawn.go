package fleet

import "slices"

// spawn fills what is missing, then replaces what is stale as far as surge
// allows: a rollback before a reload before a recycling.
func (f *Fleet) spawn() {
	if f.stopping {
		return
	}
	if c := f.candidate; c != nil && (c.canarySlot >= 0 && !f.fills(c.canarySlot) || f.lost(c.claim)) {
		c.canarySlot, c.claim = -1, nil
	}
	r := f.survey()
	f.spawnMissing(r)
	f.replace(r, func(w *Worker) bool { return w.Stuck })
	if f.makeRoom(r) {
		f.spawnMissing(r)
	}
	if f.Stopping() {
		return // what serves is good enough for the time that is left
	}
	if f.candidate != nil && f.candidate.canary == 0 && !r.awaited { // whoever relieves a stuck worker comes first
		f.spawnCanary(r)
		f.spawnMissing(r) // the slot it was given need not wait for it any more
	}
	for _, rank := range []func(*Worker) bool{
		func(w *Worker) bool { return w.Revision > f.current.number },
		// While a new one cannot start, no further worker of the old revision is given up.
		func(w *Worker) bool { return w.Revision < f.current.number && f.candidate == nil && !r.faltering },
	} {
		f.replace(r, rank)
	}
	f.spawnSpares(r) // which a worker that is recycled waits for, if it has to go first
	f.recycle(r)
	f.spawnMissing(r) // who had to give way for another slot need not wait for that
	f.spawnSpares(r)
	f.recycleSpare(r)
	f.complain(r)
}

// mayBoot says whether one more worker may be starting. If it is of a preloaded revision,
// that is only while its loader is ready; the question starts it.
func (f *Fleet) mayBoot(r *room, rev *revision, why Reason) bool {
	if n := f.current.StartParallel; n > 0 && r.starting >= n {
		return false
	}
	return f.loaded(rev, why)
}

// empty says whether nobody serves in the slot and nobody who could is
// starting. One that failed to start holds its slot until it is gone or killed.
func (f *Fleet) empty(slot int) bool {
	return !slices.ContainsFunc(f.teams[slot], func(w *Worker) bool {
		return w.State == Ready || w.State == Starting && f.own(w) || w.failed()
	})
}

// server returns the newest ready worker of a slot, or nil.
func (f *Fleet) server(slot int) (newest *Worker) {
	for _, w := range f.teams[slot] {
		if w.State == Ready {
			newest = w
		}
	}
	return newest
}

// spawnMissing fills the empty slots that are not in a backoff. With surge 0
// the slot that was emptied for a canary waits for it; one that was opened for it does
// as long as there is nothing to do.
func (f *Fleet) spawnMissing(r *room) {
	f.activateMissing(r)
	pioneer := f.pioneer()
	for i, s := range f.open() {
		reserved := f.reserved(i) || pioneer >= 0 && pioneer != i && s.failures > 0
		if f.empty(i) && !s.inBackoff(f.current.number, f.now) && !reserved && f.free(r) > 0 && f.hasRoom(r, i, f.current, s.why) {
			f.boot(r, i, f.current, s.why)
		}
	}
}

// reserved says whether an empty slot waits for the canary.
func (f *Fleet) reserved(slot int) bool {
	c := f.candidate
	return c != nil && (c.canary == 0 || c.alone && f.sizing.need == 0) && c.canarySlot == slot
}

// pioneer returns the one slot in which a boot that failed is tried again before
// anything was ever ready: what fails in one will fail in the others, and if it does
// not, they follow at once. It is the one that has failed most, so that it stays the
// same. -1: there is no such slot, or no need for one.
func (f *Fleet) pioneer() int {
	found, most := -1, 0
	if f.served() {
		return found
	}
	for i, s := range f.open() {
		if s.failures > most || s.failures == most && most > 0 && !f.empty(i) && f.empty(found) {
			found, most = i, s.failures
		}
	}
	return found
}

// spawnCanary starts the first worker of the candidate, if there is room.
func (f *Fleet) spawnCanary(r *room) {
	c := f.candidate
	slot := f.roomForCanary(r)
	if slot < 0 || f.free(r) <= 0 || !f.hasRoom(r, slot, c, ReasonReload) {
		return
	}
	c.generation = f.generations + 1
	c.canary = f.boot(r, slot, c, ReasonReload)
}

// roomForCanary returns the slot in which the candidate may be tried: one that
// crashes keep empty, else the first one, beside its worker or, with surge 0 or while no lease
// is free or there is no memory, one whose worker was told to go. It returns -1 while there is
// no room.
func (f *Fleet) roomForCanary(r *room) int {
	c := f.candidate
	hole, first := f.hole(r), f.firstOpen()
	if first < 0 {
		return -1
	}
	leasable := func(slot int) bool { _, ok := f.leasable(r, c, slot); return ok }
	beside := f.surge() > 0 && f.unclaimed(r) > 0 && leasable(first)
	switch {
	case c.canarySlot >= 0:
		return c.canarySlot
	case hole >= 0 && f.empty(hole) && leasable(hole):
		return hole
	case beside && (!f.mayBoot(r, c, ReasonReload) || f.fit(r, first) != tight):
		return first
	case beside && f.yieldSpare(r, (*Worker).Spare):
		return -1
	case f.surge() > 0 && !leasable(first) && f.loaded(c, ReasonReload) && f.yieldLease(r, c):
		return -1
	case (r.whole && (f.surge() == 0 || beside) || r.still && !leasable(first)) && f.loaded(c, ReasonReload):
		c.canarySlot = f.makeWay(r)
	}
	return c.canarySlot
}

// hole returns the slot that crashes keep empty, of workers or of the loader that they
// come from, or that there is no lease for; -1: there is none.
func (f *Fleet) hole(r *room) int {
	if f.current.loads.failures > 0 && f.Loader(f.current.number).State != LoaderServing {
		for i := range f.open() {
			if len(f.teams[i]) == 0 {
				return i
			}
		}
		return -1
	}
	for i, s := range f.open() {
		if s.inBackoff(f.current.number, f.now) || f.starved(r, i) {
			return i
		}
	}
	return -1
}

// stale returns the worker that serves in a slot which has none that it shall
// keep, nor will soon have; else nil.
func (f *Fleet) stale(slot int) (newest *Worker) {
	for _, w := range f.teams[slot] {
		switch {
		case w.State == Ready && f.fresh(w) || w.State == Starting && f.own(w):
			return nil
		case w.State == Ready:
			newest = w
		}
	}
	return newest
}

// replace starts successors for the ready workers that the condition names, or, with
// surge 0 or while no lease is free or there is no memory, retires one of them so that its
// slot becomes empty.
func (f *Fleet) replace(r *room, wanted func(*Worker) bool) {
	for i := range f.open() {
		if w := f.stale(i); w != nil && wanted(w) {
			f.succeed(r, w)
		}
	}
}

// succeed has one of these be replaced, as far as that can be now.
func (f *Fleet) succeed(r *room, w *Worker) {
	why := f.staleness(w)
	if r.spare != nil && f.fresh(r.spare) {
		f.activate(r, r.spare, w.Slot, why)
		return
	}
	if f.slots[w.Slot].inBackoff(f.current.number, f.now) {
		return
	}
	_, leasable := f.leasable(r, f.current, w.Slot)
	beside := tight
	if f.surge() > 0 && leasable {
		if f.unclaimed(r) <= 0 || !f.mayBoot(r, f.current, why) {
			return
		}
		beside = f.fit(r, w.Slot)
		r.awaited = r.awaited || w.Stuck && beside == unknown
	}
	switch {
	case beside == fits:
		f.boot(r, w.Slot, f.current, why)
	case beside == tight && r.whole && f.candidate == nil && !w.Stuck && f.loaded(f.current, why):
		f.giveWay(r, w, why)
	}
}

// makeRoom tells the stuck workers to drain that found no place, lease or memory for a
// successor, and cuts every drain in progress: the first exit frees one.
func (f *Fleet) makeRoom(r *room) (made bool) {
	for i, s := range f.open() {
		w := f.stale(i)
		if w == nil || !w.Stuck || s.inBackoff(f.current.number, f.now) {
			continue
		}
		_, leasable := f.leasable(r, f.current, i)
		if !f.loaded(f.current, w.Recycle) || f.surge() > 0 && f.unclaimed(r) > 0 && leasable && f.fit(r, i) != tight {
			continue
		}
		made = true
		f.vacate(r, w, w.Recycle)
	}
	for _, w := range f.workers {
		if made && w.State == Draining {
			f.hasten(w, f.now.Add(f.current.GracefulTimeout))
		}
	}
	return made
}

// vacate tells the worker that serves in a slot to finish before it has a
// successor.
func (f *Fleet) vacate(r *room, w *Worker, why Reason) {
	if w.State == Starting {
		r.starting--
	}
	f.drain(w, why)
	r.whole, r.still = false, false
	switch {
	case w.Spare():
		r.spare = f.spareIn(Ready)
	case f.empty(w.Slot):
		r.missing++
	}
}

// hasRoom says whether a worker of the revision may be spawned in the slot as far as memory
// goes, which is not asked for while something else is missing.
func (f *Fleet) hasRoom(r *room, slot int, rev *revision, why Reason) bool {
	if !f.mayBoot(r, rev, why) {
		return false
	}
	if _, leasable := f.leasable(r, rev, slot); !leasable {
		return false
	}
	fit := f.fit(r, slot)
	f.overlap.waits = f.overlap.waits || fit == tight
	return fit == fits
}

// boot spawns a worker of the revision in the slot and returns its id; 0: there is no
// lease for it, or too many are starting.
func (f *Fleet) boot(r *room, slot int, rev *revision, why Reason) int {
	if !f.mayBoot(r, rev, why) { // first: a loader can start while the lease is waited for
		return 0
	}
	lease, ok := f.leasable(r, rev, slot)
	if !ok {
		return 0
	}
	switch {
	case slot == NoSlot:
		r.spares++
	case f.empty(slot) && rev == f.current:
		r.missing--
		r.living++
	default:
		r.living++
	}
	r.starting++
	r.whole, r.still = false, false
	f.overlap.room--
	f.lastID++
	w := &Worker{
		Identity: Identity{
			ID: f.lastID, Slot: slot, Place: f.freePlace(r),
			Revision: rev.number, Generation: rev.generation, Spawned: f.now, Lease: lease,
		},
		due: f.now.Add(rev.StartupTimeout), reserve: slot == NoSlot,
	}
	f.join(w)
	f.take(r, w)
	f.do(Spawn{*w, why})
	return w.ID
}
