package fleet

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// Lease is what one worker holds for life: a value of each resource, by its name. No two
// processes hold the same value of a resource at the same time, whatever revisions they
// belong to.
type Lease map[string]string

// clashes says whether nobody may hold both at the same time.
func (l Lease) clashes(other Lease) bool {
	for name, value := range l {
		if has, ok := other[name]; ok && has == value {
			return true
		}
	}
	return false
}

// remains is the process group of a worker that is gone, of which somebody may be left:
// it keeps the lease.
type remains struct {
	ID         int       `state:"id"`
	Lease      Lease     `state:"lease"`
	due        time.Time `state:"due"`        // when to say that it is still there; zero: never
	unkillable bool      `state:"unkillable"` // that was said
}

// leases is who holds what while a step spawns.
type leases struct {
	held map[value]bool
	home map[value]int // the slot whose last ready worker held it
}

// value is one value of a resource.
type value struct{ resource, value string }

// Holding returns the lease of a worker that is gone and whose process group may not be;
// nil: there is none.
func (f *Fleet) Holding(id int) Lease {
	for _, r := range f.remains {
		if r.ID == id {
			return r.Lease
		}
	}
	return nil
}

// Remaining yields the ids of the workers that are gone and whose leases are held.
func (f *Fleet) Remaining() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, r := range f.remains {
			if !yield(r.ID) {
				return
			}
		}
	}
}

// Tenure is who holds a lease.
type Tenure struct {
	Lease      Lease
	Worker     int // its id, and it may be gone; 0: nobody does
	Unkillable bool
}

// Leases returns those of the revision in force, with who holds them or a part of them,
// and then others that are held.
func (f *Fleet) Leases() (all []Tenure) {
	var held []Tenure
	for _, w := range f.workers {
		if w.Lease != nil {
			held = append(held, Tenure{w.Lease, w.ID, w.unkillable})
		}
	}
	for _, one := range f.remains {
		held = append(held, Tenure{one.Lease, one.ID, one.unkillable})
	}
	for _, l := range f.current.Leases {
		one := Tenure{Lease: l}
		if i := slices.IndexFunc(held, func(t Tenure) bool { return t.Lease.clashes(l) }); i >= 0 {
			one.Worker, one.Unkillable = held[i].Worker, held[i].Unkillable
		}
		all = append(all, one)
	}
	for _, one := range held {
		if !f.current.lists(one.Lease) {
			all = append(all, one)
		}
	}
	return all
}

// bounded returns so many workers, or as many as there are leases, or may be.
func (s *Settings) bounded(workers int) int {
	if s.elastic() {
		workers = min(workers, s.WorkersMax)
	}
	if len(s.Leases) > 0 {
		return min(workers, len(s.Leases))
	}
	return workers
}

// scaled returns how many workers there are at least where an operator wants so many more
// than are configured.
func (s *Settings) scaled(by int) int {
	return s.bounded(max(s.Workers+by, min(s.Workers, 1)))
}

// lists says whether a worker of the revision may hold the lease.
func (s *Settings) lists(l Lease) bool {
	return slices.ContainsFunc(s.Leases, func(one Lease) bool { return maps.Equal(one, l) })
}

// books returns who holds what.
func (f *Fleet) books(r *room) *leases {
	if r.leases != nil {
		return r.leases
	}
	r.leases = &leases{held: map[value]bool{}, home: map[value]int{}}
	for _, w := range f.workers {
		r.leases.hold(w.Lease)
	}
	for _, one := range f.remains {
		r.leases.hold(one.Lease)
	}
	for i, s := range f.slots {
		if s.closed || !f.current.lists(s.lease) {
			continue // nobody can get it back
		}
		for name, text := range s.lease {
			r.leases.home[value{name, text}] = i
		}
	}
	return r.leases
}

func (l *leases) hold(lease Lease) {
	for name, text := range lease {
		l.held[value{name, text}] = true
	}
}

// leasable returns the lease that a worker of the revision would get in the slot. ok:
// there is one, or none is needed. A slot gets the one back that its last ready worker had,
// if that is free, and nobody else gets it while the slot is empty and in no backoff.
func (f *Fleet) leasable(r *room, rev *revision, slot int) (lease Lease, ok bool) {
	if len(rev.Leases) == 0 {
		return nil, true
	}
	books := f.books(r)
	var home Lease
	if slot != NoSlot {
		home = f.slots[slot].lease
	}
	free := func(l Lease) bool {
		for name, text := range l {
			if books.held[value{name, text}] {
				return false
			}
		}
		return rev == f.candidate || f.candidate == nil || f.candidate.canary != 0 || !f.candidate.claim.clashes(l)
	}
	reserved := func(l Lease) bool {
		for name, text := range l {
			if i, known := books.home[value{name, text}]; known && i != slot && f.empty(i) && !f.slots[i].inBackoff(f.current.number, f.now) {
				return true
			}
		}
		return false
	}
	for _, l := range rev.Leases {
		switch {
		case !free(l), rev.claim != nil && !maps.Equal(l, rev.claim):
		case rev.claim != nil || maps.Equal(l, home):
			return l, true
		case lease == nil && !reserved(l):
			lease = l
		}
	}
	return lease, lease != nil
}

// starved says whether a slot is empty for want of a lease.
func (f *Fleet) starved(r *room, slot int) bool {
	if !f.empty(slot) {
		return false
	}
	_, ok := f.leasable(r, f.current, slot)
	return !ok
}

// bereft says whether a slot is empty because one whom SIGKILL does not end keeps the
// lease: nobody waits for it.
func (f *Fleet) bereft(slot int) bool {
	if len(f.current.Leases) == 0 || len(f.teams[slot]) > f.count(func(w *Worker) bool { return w.Slot == slot && w.unkillable }) {
		return false
	}
	r := f.survey()
	return r.still && f.starved(r, slot)
}

// yielding returns the ready workers that have to go for a worker of the revision to
// have a lease, as few as can be, and that lease. Of leases that are equal in this the
// one of the preferred worker is taken. Who is to stay holds on to its own.
func (f *Fleet) yielding(rev *revision, preferred *Worker, mayGo func(*Worker) bool) (lease Lease, going []*Worker) {
	for _, l := range rev.Leases {
		var holders []*Worker
		held := false
		for _, w := range f.workers {
			if w.Lease.clashes(l) {
				holders = append(holders, w)
				held = held || w.State != Ready || !mayGo(w)
			}
		}
		for _, one := range f.remains {
			held = held || one.Lease.clashes(l)
		}
		if held || len(holders) == 0 {
			continue
		}
		if len(holders) == 1 && holders[0] == preferred {
			return l, holders
		}
		if lease == nil || len(holders) < len(going) {
			lease, going = l, holders
		}
	}
	return lease, going
}

// giveWay tells a worker that is to be replaced to finish before it has a successor,
// or those that have the lease which the successor gets.
func (f *Fleet) giveWay(r *room, w *Worker, why Reason) {
	if _, ok := f.leasable(r, f.current, w.Slot); ok {
		f.vacate(r, w, why)
		return
	}
	_, going := f.yielding(f.current, w, func(w *Worker) bool { return !f.fresh(w) })
	for _, one := range going {
		f.vacate(r, one, f.staleness(one))
	}
}

// take has a worker hold its lease.
func (f *Fleet) take(r *room, w *Worker) {
	if w.Lease == nil {
		return
	}
	f.books(r).hold(w.Lease)
	if !f.own(w) {
		f.candidate.claim = nil
	}
}

// keep has the slot of a ready worker get its lease back when that is gone, and no other.
func (f *Fleet) keep(w *Worker) {
	for i, s := range f.slots {
		if i == w.Slot {
			s.lease = w.Lease
		} else if s.lease.clashes(w.Lease) {
			s.lease = nil
		}
	}
}

// makeWay has workers go for a canary that finds no room beside them, and returns the
// slot of the first; -1: nobody can.
func (f *Fleet) makeWay(r *room) (slot int) {
	c := f.candidate
	first := f.firstServed()
	if first == nil {
		return -1
	}
	lease, ok := f.leasable(r, c, first.Slot)
	going := []*Worker{first}
	if !ok {
		lease, going = f.yielding(c, first, func(*Worker) bool { return true })
	}
	slot, c.claim = -1, lease
	for _, w := range going {
		slot = max(slot, w.Slot)
		f.vacate(r, w, ReasonReload)
		f.slot(w).why = ReasonRollback
	}
	return slot
}

// lost says whether somebody keeps a lease whom SIGKILL does not end.
func (f *Fleet) lost(lease Lease) bool {
	return slices.ContainsFunc(f.workers, func(w *Worker) bool { return w.unkillable && w.Lease.clashes(lease) }) ||
		slices.ContainsFunc(f.remains, func(one *remains) bool { return one.unkillable && one.Lease.clashes(lease) })
}

// firstServed returns the ready worker of the first slot that has one.
func (f *Fleet) firstServed() *Worker {
	for i := range f.open() {
		if w := f.server(i); w != nil {
			return w
		}
	}
	return nil
}

// cleared notes that nobody is left of a worker that is gone.
func (f *Fleet) cleared(id int) {
	f.remains = slices.DeleteFunc(f.remains, func(one *remains) bool { return one.ID == id })
}

// outlived says of those whom SIGKILL has not ended that they are still there. They
// keep what they hold, and do not count otherwise.
func (f *Fleet) outlived(id int, unkillable *bool, due *time.Time) {
	if due.IsZero() || due.After(f.now) {
		return
	}
	if f.stopping {
		*due = time.Time{} // nothing more can be done
		return
	}
	*unkillable, *due = true, f.now.Add(UnkillableEvery)
	f.do(Unkillable{id})
}
