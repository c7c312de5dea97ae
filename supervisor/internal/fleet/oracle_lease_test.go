package fleet

import (
	"maps"
	"slices"
	"time"
)

// tenures is what the oracle knows of leases.
type tenures struct {
	left    map[int]Lease // of workers that are gone and of whom somebody may be left
	undead  map[int]bool  // of those, whom SIGKILL does not end
	last    map[int]Lease // by slot, of the last ready worker of the revision in force
	waiting map[int]Lease // by slot, of the worker that was told to go before it had a successor
	cleared map[int]int   // in the step under way: number of the event
	begun   map[int]bool  // slots that have had a worker
	bereft  map[int]bool  // slots that had never had a worker when all others were up
}

func newTenures() tenures {
	return tenures{left: map[int]Lease{}, undead: map[int]bool{}, last: map[int]Lease{}, waiting: map[int]Lease{}, begun: map[int]bool{}, bereft: map[int]bool{}}
}

// clear notes that nobody is left of a worker.
func (o *oracle) clear(id int) {
	delete(o.left, id)
	delete(o.undead, id)
	if o.cleared == nil {
		o.cleared = map[int]int{}
	}
	o.cleared[id] = o.event
}

// leave notes that a worker is gone by an event of the step, and whether others of it are not.
func (o *oracle) leave(w *life, by int) {
	if cleared, ok := o.cleared[w.ID]; w.Lease != nil && (!ok || cleared < by) {
		o.left[w.ID] = w.Lease
	}
}

// free says whether nobody holds anything of the lease.
func (o *oracle) free(l Lease) bool {
	for _, w := range o.alive {
		if w.Lease.clashes(l) {
			return false
		}
	}
	for _, held := range o.left {
		if held.clashes(l) {
			return false
		}
	}
	return true
}

// anyFree says whether there is a lease for a worker of the revision in the slot that no
// other one waits for, or none is needed.
func (o *oracle) anyFree(now time.Time, revision, slot int) bool {
	all := o.settings[revision].Leases
	return len(all) == 0 || slices.ContainsFunc(all, func(l Lease) bool {
		for other, last := range o.last {
			if other != slot && o.fills(other) && o.lists(last) && last.clashes(l) && o.empty(other) && !o.inBackoff(now, other) && !maps.Equal(l, o.last[slot]) {
				return false
			}
		}
		return o.free(l)
	})
}

// lists says whether a worker of the revision in force may hold the lease.
func (o *oracle) lists(l Lease) bool {
	return slices.ContainsFunc(o.settings[o.current].Leases, func(one Lease) bool { return maps.Equal(one, l) })
}

// inBackoff says whether the slot stays empty for a while.
func (o *oracle) inBackoff(now time.Time, slot int) bool {
	c := o.crashes[[2]int{slot, o.current}]
	return c != nil && c.until.After(now)
}

// mayBackOff says whether the slot may stay empty for a while: for how long is told when
// whoever failed to start there is gone, and counts from the time it was killed.
func (o *oracle) mayBackOff(now time.Time, slot int) bool {
	for _, w := range o.alive {
		if w.Slot == slot && w.killed && !w.aborted.IsZero() && w.Revision == o.current {
			return true
		}
	}
	return o.inBackoff(now, slot)
}

// leased checks the lease of a worker that is spawned.
func (o *oracle) leased(now time.Time, w Worker) string {
	all := o.settings[w.Revision].Leases
	if (w.Lease == nil) != (len(all) == 0) {
		return "no lease, or one that is not needed"
	}
	if w.Lease == nil {
		return ""
	}
	if !slices.ContainsFunc(all, func(l Lease) bool { return maps.Equal(l, w.Lease) }) {
		return "lease of another revision"
	}
	if !o.free(w.Lease) {
		return "lease shared"
	}
	if w.Revision != o.current || o.candidate != 0 {
		return ""
	}
	for slot, l := range o.waiting {
		if o.lists(l) && o.empty(slot) && !o.mayBackOff(now, slot) && o.free(l) && (slot == w.Slot) != maps.Equal(l, w.Lease) {
			return "lease not given back"
		}
	}
	return ""
}

// rise notes that every slot has somebody ready, but for those that there is no lease for.
func (o *oracle) rise() {
	o.up = true
	for slot := range o.slots() {
		o.bereft[slot] = !o.begun[slot]
	}
}

// await notes that the slot of a worker which is told to go waits for its lease.
func (o *oracle) await(w *life) {
	if w.Lease != nil && o.fills(w.Slot) && maps.Equal(w.Lease, o.last[w.Slot]) {
		o.waiting[w.Slot] = w.Lease
	}
}

// keepLease notes that the slot of a ready worker gets its lease back, and no other.
func (o *oracle) keepLease(w *life) {
	for _, of := range []map[int]Lease{o.waiting, o.last} {
		maps.DeleteFunc(of, func(slot int, l Lease) bool { return slot == w.Slot || l.clashes(w.Lease) })
	}
	if o.fills(w.Slot) {
		o.last[w.Slot] = w.Lease
	}
}

// forgetLeases forgets those of slots that are no longer wanted.
func (o *oracle) forgetLeases() {
	for _, of := range []map[int]Lease{o.waiting, o.last} {
		maps.DeleteFunc(of, func(slot int, _ Lease) bool { return !o.fills(slot) })
	}
}

// empty says whether nobody in the slot serves, or could of the revision in force.
func (o *oracle) empty(slot int) bool {
	for _, w := range o.alive {
		if w.Slot == slot && !w.told && !w.killed && (w.ready || w.Revision == o.current || !w.aborted.IsZero()) {
			return false
		}
	}
	return true
}

// counted is how many processes live that count.
func (o *oracle) counted() (n int) {
	for _, w := range o.alive {
		if !w.undead {
			n++
		}
	}
	return n
}

// undeads is how many live that do not.
func (o *oracle) undeads() int { return len(o.alive) - o.counted() }

// unkillable notes that SIGKILL has not ended somebody.
func (o *oracle) unkillable(now time.Time, id int) string {
	if _, left := o.left[id]; left {
		o.undead[id] = true
		return ""
	}
	w := o.alive[id]
	if w == nil || !w.killed {
		return "acted on the dead"
	}
	if now.Sub(w.killedAt) < UnkillableAfter || w.undead && now.Sub(w.namedAt) < UnkillableEvery {
		return "called unkillable too early"
	}
	w.undead, w.namedAt = true, now
	return ""
}

// yields says whether a ready worker may be told to go with no successor although surge
// allows one: there is no lease for that, nothing else is about to free one, and nobody
// else is missing but for want of a lease.
func (o *oracle) yields(now time.Time, w *life) bool {
	wanting := o.current
	if o.candidate != 0 {
		wanting = o.candidate
	}
	if o.anyFree(now, wanting, w.Slot) {
		return false
	}
	for id := range o.left {
		if !o.undead[id] {
			return false
		}
	}
	if wanting != o.current && o.surge() > 0 && o.sparesLease(wanting) {
		return false
	}
	missing := false
	for _, other := range o.alive {
		if other.ID != w.ID && !other.undead && (!other.ready || other.told) && !other.toldAt.Equal(now) {
			return false
		}
	}
	for slot := range o.slots() {
		if slot != w.Slot && o.servers(slot, 0) == 0 && !slices.ContainsFunc(slices.Collect(maps.Values(o.alive)), func(x *life) bool { return x.Slot == slot && x.toldAt.Equal(now) }) {
			backoff := wanting != o.current && o.inBackoff(now, slot)
			missing = missing || !backoff && o.anyFree(now, o.current, slot)
		}
	}
	return !missing
}
