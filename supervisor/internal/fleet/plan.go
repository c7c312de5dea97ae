package fleet

import (
	"slices"
	"time"
)

// retire tells every worker to finish that is no longer wanted.
func (f *Fleet) retire() {
	if f.stopping {
		f.retireAll()
		return
	}
	for _, w := range f.workers {
		canary := f.candidate != nil && w.ID == f.candidate.canary
		switch {
		case !w.serving() || canary:
		case w.Slot >= f.current.target:
			f.drain(w, ReasonScale)
		case w.State == Starting && w.Revision != f.current.number:
			f.drain(w, f.staleness(w))
		}
	}
	for i := range f.slots {
		f.thin(i)
	}
}

// thin leaves a slot the one worker it shall keep, once that one is ready.
func (f *Fleet) thin(slot int) {
	starting, ready := f.in(slot)
	keep := slices.IndexFunc(ready, f.fresh)
	if keep < 0 {
		if len(ready) < 2 {
			return
		}
		// Several stale ones, because a successor became stale itself: the
		// newest serves until its own is ready.
		keep, starting = len(ready)-1, nil
	}
	for i, w := range ready {
		if i != keep {
			f.drain(w, f.staleness(w))
		}
	}
	for _, w := range starting {
		if f.candidate == nil || w.ID != f.candidate.canary {
			f.drain(w, ReasonSurplus)
		}
	}
}

// staleness is the reason for which a worker is not fresh.
func (f *Fleet) staleness(w *Worker) Reason {
	switch {
	case w.Stuck:
		return w.Recycle
	case w.Revision > f.current.number && f.candidate == nil:
		return ReasonRollback
	case w.Revision != f.current.number:
		return ReasonReload
	case w.Recycle != "":
		return w.Recycle
	}
	return ReasonSurplus
}

// drain sends a worker its stop signal.
func (f *Fleet) drain(w *Worker, why Reason) {
	f.tell(w, f.now.Add(f.grace(w)), why)
	if w.Slot < len(f.slots) && why != ReasonSurplus {
		f.slots[w.Slot].why = why
	}
}

// grace is how long a worker that is replaced may take to finish. One that is
// not ready has nothing to finish, and one that is stuck only what others are
// not to lose.
func (f *Fleet) grace(w *Worker) time.Duration {
	graceful, drain := f.current.GracefulTimeout, f.current.DrainTimeout
	switch {
	case w.Stuck && w.Innocents == 0:
		return min(StuckGrace, graceful)
	case w.Stuck:
		return graceful
	case w.State == Starting:
		return min(drain, graceful)
	}
	return drain
}

// tell sends the stop signal, which a worker gets once in its life.
func (f *Fleet) tell(w *Worker, until time.Time, why Reason) {
	w.told = true
	w.State = Draining
	w.aliveAt = time.Time{}
	w.due = until
	f.do(Retire{w.ID, until, why})
	if !until.After(f.now) {
		f.expire(w)
	}
}

// hasten brings the end of a drain forward.
func (f *Fleet) hasten(w *Worker, until time.Time) {
	if w.due.After(until) {
		w.due = until
		f.do(Hasten{w.ID, until})
		if !until.After(f.now) {
			f.expire(w)
		}
	}
}

// retireAll gives the whole fleet the common deadline of a stop. Who is stuck gets no
// more of it than elsewhere, and, unless the stop is a quick one, the time for its
// stacks on top.
func (f *Fleet) retireAll() {
	for _, w := range f.workers {
		switch {
		case w.serving() && w.Stuck:
			f.tell(w, earlier(f.stopBy, f.now.Add(f.grace(w))), ReasonStop)
		case w.serving():
			f.tell(w, f.stopBy, ReasonStop)
		case w.State == Draining:
			f.hasten(w, f.stopBy)
		case !w.killed && w.Stuck && !f.quick:
			w.due = earlier(w.due, f.stopBy.Add(AbortGrace))
		case !w.killed:
			w.due = earlier(w.due, f.stopBy)
		}
		if !w.killed && !w.due.After(f.now) {
			f.kill(w, ReasonGrace)
		}
		if end := f.stopBy.Add(KillGrace); w.killed && end.After(f.now) {
			w.due = end
		}
	}
}

// spawn fills what is missing, then replaces what is stale as far as surge
// allows: a rollback before a reload before a recycling.
func (f *Fleet) spawn() {
	if f.stopping {
		return
	}
	f.spawnMissing()
	f.replace(func(w *Worker) bool { return w.Stuck })
	if f.makeRoom() {
		f.spawnMissing()
	}
	if f.Stopping() {
		return // what serves is good enough for the time that is left
	}
	if f.candidate != nil && f.candidate.canary == 0 && f.spawnCanary() {
		f.spawnMissing() // the slot it was given need not wait for it any more
	}
	for _, rank := range []func(*Worker) bool{
		func(w *Worker) bool { return w.Revision > f.current.number },
		func(w *Worker) bool { return w.Revision < f.current.number && f.candidate == nil && !f.faltering() },
		func(w *Worker) bool { return w.Revision == f.current.number && w.Recycle != "" },
	} {
		f.replace(rank)
	}
}

// free returns how many processes may be spawned on top of those alive.
func (f *Fleet) free() int { return f.current.target + f.surge() - len(f.workers) }

// mayBoot says whether one more worker may be starting.
func (f *Fleet) mayBoot() bool {
	n := f.current.StartParallel
	return n == 0 || f.count(func(w *Worker) bool { return w.State == Starting }) < n
}

// empty says whether nobody serves in the slot and nobody who could is
// starting. One that failed to start holds its slot until it is gone or killed.
func (f *Fleet) empty(slot int) bool {
	return !slices.ContainsFunc(f.workers, func(w *Worker) bool {
		return w.Slot == slot && (w.State == Ready || w.State == Starting && f.own(w) || w.failed && !w.killed)
	})
}

// faltering says whether a slot is in the backoff of the current revision: no
// further worker of the old one is given up meanwhile.
func (f *Fleet) faltering() bool {
	return slices.ContainsFunc(f.slots, func(s *slot) bool { return s.inBackoff(f.current.number, f.now) })
}

// spawnMissing fills the empty slots that are not in a backoff. With surge 0
// the slot that was emptied for a canary waits for it.
func (f *Fleet) spawnMissing() {
	for i, s := range f.slots {
		reserved := f.candidate != nil && f.candidate.canary == 0 && f.candidate.canarySlot == i
		if f.empty(i) && !s.inBackoff(f.current.number, f.now) && !reserved && f.free() > 0 && f.mayBoot() {
			f.boot(i, f.current, s.why)
		}
	}
}

// spare returns how many processes may be spawned beside those that the empty
// slots will need.
func (f *Fleet) spare() int {
	n := f.free()
	for i := range f.slots {
		if f.empty(i) {
			n--
		}
	}
	return n
}

// spawnCanary starts the first worker of the candidate, if there is room.
func (f *Fleet) spawnCanary() bool {
	c := f.candidate
	slot := f.roomForCanary()
	if slot < 0 || f.free() <= 0 || !f.mayBoot() {
		return false
	}
	c.generation = f.generations + 1
	c.canary = f.boot(slot, c, ReasonReload)
	return true
}

// roomForCanary returns the slot in which the candidate may be tried: one that
// crashes keep empty, else slot 0, beside its worker or, with surge 0, after
// that one was told to go. It returns -1 while there is no room.
func (f *Fleet) roomForCanary() int {
	c := f.candidate
	if c.canarySlot >= len(f.slots) {
		c.canarySlot = -1
	}
	hole := slices.IndexFunc(f.slots, func(s *slot) bool { return s.inBackoff(f.current.number, f.now) })
	switch {
	case c.canarySlot >= 0:
		return c.canarySlot
	case hole >= 0 && f.empty(hole):
		return hole
	case f.surge() > 0 && f.spare() > 0:
		return 0
	case f.surge() == 0 && f.whole():
		c.canarySlot = 0
		_, ready := f.in(0)
		f.drain(ready[0], ReasonReload)
		f.slots[0].why = ReasonRollback
	}
	return c.canarySlot
}

// whole says whether every slot is served and nothing else lives.
func (f *Fleet) whole() bool {
	for i := range f.slots {
		if _, ready := f.in(i); len(ready) == 0 {
			return false
		}
	}
	return len(f.workers) == len(f.slots)
}

// replace starts successors for the ready workers that the condition names,
// or, with surge 0, retires one of them so that its slot becomes empty.
func (f *Fleet) replace(stale func(*Worker) bool) {
	for i := range f.slots {
		starting, ready := f.in(i)
		if len(ready) == 0 || slices.ContainsFunc(ready, f.fresh) || slices.ContainsFunc(starting, f.own) {
			continue
		}
		w := ready[len(ready)-1]
		switch {
		case !stale(w) || f.slots[i].inBackoff(f.current.number, f.now):
		case f.surge() == 0 && f.whole() && f.candidate == nil && !w.Stuck:
			f.drain(w, f.staleness(w))
		case f.surge() > 0 && f.spare() > 0 && f.mayBoot():
			f.boot(i, f.current, f.staleness(w))
		}
	}
}

// makeRoom tells the stuck workers to drain that found no place for a
// successor, and cuts every drain in progress: the first exit frees a place.
func (f *Fleet) makeRoom() (made bool) {
	for i := range f.slots {
		starting, ready := f.in(i)
		if len(ready) == 0 || slices.ContainsFunc(ready, f.fresh) || slices.ContainsFunc(starting, f.own) {
			continue
		}
		w := ready[len(ready)-1]
		if !w.Stuck || f.slots[i].inBackoff(f.current.number, f.now) || f.surge() > 0 && f.spare() > 0 {
			continue
		}
		made = true
		f.drain(w, w.Recycle)
		for _, d := range f.workers {
			if d.State == Draining {
				f.hasten(d, f.now.Add(f.current.GracefulTimeout))
			}
		}
	}
	return made
}

// boot spawns a worker of the revision in the slot and returns its id.
func (f *Fleet) boot(slot int, r *revision, why Reason) int {
	f.lastID++
	w := &Worker{
		ID: f.lastID, Slot: slot, Place: f.freePlace(),
		Revision: r.number, Generation: r.generation,
		Spawned: f.now, due: f.now.Add(r.StartupTimeout),
	}
	f.join(w)
	f.do(Spawn{*w, why})
	return w.ID
}

// freePlace returns the lowest place that no living worker has.
func (f *Fleet) freePlace() int {
	for place := 0; ; place++ {
		if !slices.ContainsFunc(f.workers, func(w *Worker) bool { return w.Place == place }) {
			return place
		}
	}
}
