package fleet

import "time"

// space is what the oracle knows of the memory for processes beyond those that there are to
// be anyway.
type space struct {
	heardAt time.Time // when that was told; zero: it counts no more
	room    int
	askedAt time.Time // when that was asked, and is not told yet; zero: it was not
	canary  int       // that is tried; 0: none
	emptied int       // the slot that was emptied for it; -1: there is none
}

// hear notes what matters to a part of the laws.
func (o *oracle) hear(now time.Time, ev Event) {
	o.see(now, ev)
	o.hearLoader(now, ev)
	o.hearDemand(now, ev)
	o.hearScale(ev)
	o.hearMemory(now, ev)
	o.hearStreams(now, ev)
}

// hearMemory notes for how many processes there is memory, and that it is another one.
func (o *oracle) hearMemory(now time.Time, ev Event) {
	switch ev := ev.(type) {
	case Memory:
		o.heardAt, o.room, o.askedAt = now, ev.Room, time.Time{}
	case Exited:
		o.vacate(ev.ID)
	case SpawnFailed:
		o.vacate(ev.ID)
	}
}

func (o *oracle) vacate(id int) {
	if w := o.alive[id]; w != nil && !w.exited {
		o.heardAt = time.Time{}
	}
}

// roomLeft is for how many processes beyond those that there are to be anyway there is memory, as
// was told a moment ago: one for each slot in which somebody is missing, but for the one, is
// taken.
func (o *oracle) roomLeft(now time.Time, but int) (n int, known bool) {
	n = o.room
	for slot := range o.slots() {
		if slot != but && o.empty(slot) {
			n--
		}
	}
	return n, !o.heardAt.IsZero() && now.Sub(o.heardAt) < RoomFor
}

// crowded says whether nobody can be started beside who is in the slot.
func (o *oracle) crowded(now time.Time, slot int) bool {
	n, known := o.roomLeft(now, slot)
	return o.settings[o.current].MemoryBound && known && n <= 0
}

// forced says whether a worker was told to go before its successor comes although there is
// memory for both, or would be without a spare.
func (o *oracle) forced(now time.Time, w *life) string {
	switch {
	case o.surge() == 0:
	case !o.crowded(now, w.Slot):
		return "retired below strength"
	case o.candidate != 0 && o.spares() > 0:
		return "retired beside a spare that could go"
	}
	return ""
}

// weighing says whether it is not known yet for how many there is memory, since just now.
func (o *oracle) weighing(now time.Time) bool {
	return !o.askedAt.IsZero() && now.Sub(o.askedAt) < RoomFor
}

// squeezed checks that a worker that is spawned has room.
func (o *oracle) squeezed(now time.Time, w Worker) string {
	defer func() { o.room-- }()
	if !o.settings[o.current].MemoryBound || w.Slot != NoSlot && !o.beside(w) {
		return ""
	}
	n, known := o.roomLeft(now, w.Slot)
	switch {
	case o.heardAt.IsZero():
		return "old figures of memory"
	case !known || n <= 0:
		return "more processes than memory has room for"
	}
	return ""
}

// beside says whether a worker is spawned beside another one of its slot, which is no canary
// that is one too many itself, nor one that has said that it has failed and drains.
func (o *oracle) beside(w Worker) bool {
	for _, other := range o.alive {
		failed := other.saidFailed && other.aborted.IsZero() && !other.killed
		if other.Slot == w.Slot && !other.undead && !failed && (other.ID != o.canary || o.emptied == w.Slot) {
			return true
		}
	}
	return false
}

// wanting says whether there may be somebody who wants to start one more than there are.
func (o *oracle) wanting() bool {
	s := o.settings[o.current]
	if !s.MemoryBound || !o.serving() {
		return false
	}
	if o.candidate != 0 || o.spares() < s.Spares && o.held[s.Command] {
		return true
	}
	for _, w := range o.alive {
		if !o.fills(w.Slot) || w.undead {
			continue
		}
		if o.empty(w.Slot) || w.ready && !w.told && (w.recycling || w.stuck || w.Revision != o.current || s.Lifetime > 0) {
			return true
		}
	}
	return false
}

// leaveOff notes that what was asked is not waited for any more, as nobody wants to know.
func (o *oracle) leaveOff(f *Fleet) {
	if f.overlap.asked.IsZero() {
		o.askedAt = time.Time{}
	}
}

// weighed checks that it is asked for how many there is memory.
func (o *oracle) weighed(now time.Time) string {
	switch {
	case !o.wanting():
		return "asked for memory that nobody wants"
	case o.weighing(now):
		return "asked for memory too soon"
	}
	o.askedAt = now
	return ""
}

// heldBack says whether somebody is missing in a slot where nobody lives, and for no other
// reason than memory, or whether nothing will wake the brain for those who wait for that.
func (o *oracle) heldBack(f *Fleet, now time.Time) string {
	if o.halted || f.stopping {
		return ""
	}
	o.leaveOff(f)
	next, _ := f.Deadline()
	switch by := f.overlap.told.Add(RoomEvery); {
	case !o.askedAt.IsZero() && (next.IsZero() || next.After(o.askedAt.Add(RoomFor))),
		f.overlap.waits && o.askedAt.IsZero() && (next.IsZero() || next.After(by)):
		return "memory forgotten"
	}
	r := f.survey()
	parallel := f.current.StartParallel
	if !f.current.MemoryBound || f.free(r) <= 0 || parallel > 0 && r.starting >= parallel || !o.forks(o.current) {
		return ""
	}
	pioneer := f.pioneer()
	for slot, s := range f.open() {
		waits := s.inBackoff(o.current, now) || f.reserved(slot) || f.starved(r, slot) || pioneer >= 0 && pioneer != slot && s.failures > 0
		switch {
		case !o.empty(slot) || waits:
		case !o.beside(Worker{Identity: Identity{Slot: slot}}):
			return "what is missing held back for memory"
		case o.askedAt.IsZero() && (next.IsZero() || next.After(o.heardAt.Add(RoomEvery))):
			return "memory forgotten"
		}
	}
	return ""
}
