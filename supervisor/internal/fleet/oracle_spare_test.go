package fleet

import (
	"slices"
	"time"
)

// reserves is what the oracle knows of spares.
type reserves struct {
	held  map[string]bool // commands of which a worker said that it accepts nothing while it is a spare
	taken map[int]bool    // workers that were spares before the step under way
}

// spares counts the processes without a slot, told to go or not.
func (o *oracle) spares() (n int) {
	for _, w := range o.alive {
		if w.Slot == NoSlot && !w.undead {
			n++
		}
	}
	return n
}

// vacant is how many processes could be spawned in slots.
func (o *oracle) vacant() int {
	spares := o.spares()
	return o.target + o.surge() - (o.counted() - spares) - max(spares-o.settings[o.current].Spares, 0)
}

// available says whether a spare is one that a slot may get.
func (o *oracle) available(w *life) bool {
	return w.Slot == NoSlot && w.ready && !w.told && !w.killed && w.aborted.IsZero() && w.Revision == o.current &&
		!w.stuck && w.wished.IsZero() && !w.oversized
}

// spareSpawned checks that a spare is started.
func (o *oracle) spareSpawned(now time.Time, w Worker) string {
	s := o.settings[w.Revision]
	switch {
	case w.Revision != o.current || o.rollout || o.candidate != 0:
		return "spare started during a reload"
	case !o.delay.IsZero():
		return "replaced during the delay"
	case o.spares() > s.Spares:
		return "more spares than asked for"
	case !o.held[s.Command]:
		return "spare of workers that cannot hold"
	}
	for slot := range o.slots() {
		if o.inBackoff(now, slot) {
			return "spare started while workers crash"
		}
		if o.servers(slot, 0) == 0 && o.anyFree(now, o.current, slot) {
			return "spare started before a worker"
		}
	}
	return ""
}

// activated enters a spare as the worker of a slot.
func (o *oracle) activated(now time.Time, a Activate) string {
	w := o.alive[a.ID]
	switch {
	case w == nil || w.told || w.killed || !w.aborted.IsZero() || w.Slot != NoSlot:
		return "acted on the dead"
	case !o.serving():
		return "spawn while stopping"
	case w.Revision != o.current:
		return "spare of another revision activated"
	case w.stuck:
		return "stuck spare activated"
	case !o.fills(a.Slot):
		return "slot or place out of range"
	case a.Reason == ReasonLifetime && !o.aged(now, a.Slot):
		return "replaced before its lifetime was over"
	}
	for _, other := range o.alive {
		if !w.ready && o.available(other) {
			return "starting spare activated beside one that is ready"
		}
		if other.Slot != a.Slot || !other.ready || other.told || other.killed {
			continue
		}
		if !w.ready || !other.stuck && (!other.recycling && !o.old(now, other) && other.Revision == o.current || !o.delay.IsZero()) {
			return "spare spent without need"
		}
	}
	w.Slot, w.takenAt, w.reason = a.Slot, now, ReasonSpare
	o.taken[w.ID] = true
	o.begun[w.Slot] = true
	delete(o.bereft, w.Slot)
	if w.ready {
		o.keepLease(w)
	}
	return ""
}

// sparesLease says whether a spare has what a worker of the revision could get.
func (o *oracle) sparesLease(revision int) bool {
	for _, w := range o.alive {
		if w.Slot == NoSlot && !w.undead && slices.ContainsFunc(o.settings[revision].Leases, w.Lease.clashes) {
			return true
		}
	}
	return false
}

// spareRetired checks that a spare is told to end.
func (o *oracle) spareRetired(now time.Time, a Retire, w *life) string {
	c := o.settings[o.candidate]
	switch {
	case w.Revision != o.current, w.stuck, w.recycling, w.word && !w.holds:
		return ""
	case a.Reason == ReasonReload && o.candidate != 0 && (slices.ContainsFunc(c.Leases, w.Lease.clashes) || o.crowded(now, NoSlot)):
		return ""
	}
	return "spare ended without need"
}

// spent looks for a slot that nobody serves although a spare could, and for a spare that
// must not be there.
func (o *oracle) spent(f *Fleet) string {
	if o.halted || !o.serving() || o.closed {
		return ""
	}
	ready := false
	for _, w := range o.alive {
		if w.Slot == NoSlot && !w.told && !w.killed && w.aborted.IsZero() && w.Revision != o.current {
			return "spare of another revision kept"
		}
		ready = ready || o.available(w)
	}
	for slot := range o.slots() {
		if ready && o.servers(slot, 0) == 0 && !f.reserved(slot) {
			return "slot empty beside a ready spare"
		}
	}
	return ""
}

// saidSo says whether the worker says READY=1 in this step.
func saidSo(events []Event, id int) bool {
	return slices.ContainsFunc(events, func(ev Event) bool {
		said, is := ev.(SaidReady)
		return is && said.ID == id
	})
}
