package fleet

import (
	"math"
	"slices"
	"time"
)

// Where memory is bounded, a process beyond those that there are to be anyway is started only
// where it fits: the successor of a worker that still lives, the canary of a reload, a spare.
// How many do is asked of the loop when one is wanted, and not before. What is missing in a
// slot where nobody lives is never held back.

const (
	// RoomFor is for how long a [Memory] counts; after as long one that was asked for, and has
	// not come, is asked for again.
	RoomFor = time.Second
	// RoomEvery is how long after a Memory without room for a spare, or for whoever takes the
	// place of one that drains, another one is asked for.
	RoomEvery = 10 * time.Second
	// Unbounded is the room of a Memory where there is no limit.
	Unbounded = math.MaxInt32
)

// overlap is what is known of the memory for processes beyond those that there are to be.
type overlap struct {
	told    time.Time `state:"told"`    // when the last Memory was; zero: it counts no more
	room    int       `state:"room"`    // for how many more there is memory since then
	asked   time.Time `state:"asked"`   // when one was asked for that has not come; zero: none was
	reduced bool      `state:"reduced"` // somebody found none, and there is not enough for all that there may be
	waits   bool      `state:"waits"`   // somebody does for whom nobody else goes
	wanted  bool      `state:"-"`       // in this step it matters how many there are
}

// fit is whether there is memory for a process.
type fit int

const (
	unknown fit = iota // which is asked for
	tight              // there is none
	fits
)

// fit says whether there is memory for one more process in a slot, [NoSlot] for a spare.
func (f *Fleet) fit(r *room, slot int) fit {
	spare := slot == NoSlot
	if !f.current.MemoryBound || !spare && !f.occupied(slot) {
		return fits
	}
	o := &f.overlap
	left := o.room - r.missing
	if !spare && f.empty(slot) {
		left++
	}
	switch age := f.now.Sub(o.told); {
	case o.told.IsZero(), age >= RoomFor && (left > 0 || !spare || age >= RoomEvery):
		f.weigh()
		return unknown
	case left > 0:
		return fits
	}
	if !o.reduced {
		o.reduced = true
		f.do(Cramped{})
	}
	return tight
}

// weigh asks for how many processes there is memory, unless that is on its way.
func (f *Fleet) weigh() {
	o := &f.overlap
	o.wanted = true
	if o.asked.IsZero() || f.now.Sub(o.asked) >= RoomFor {
		o.asked = f.now
		f.do(Weigh{})
	}
}

// weighed notes for how many processes there is memory.
func (f *Fleet) weighed(room int) {
	o := &f.overlap
	o.told, o.room, o.asked = f.now, room, time.Time{}
	if room >= f.current.target+f.surge()+f.current.Spares-len(f.workers) {
		o.reduced = false
	}
}

// BindMemory has memory be asked for before a process is started beyond those that there are
// to be, also where settings say nothing about it, as those of versions before do.
func (f *Fleet) BindMemory() {
	for _, r := range []*revision{f.current, f.fallback, f.candidate} {
		if r != nil {
			r.MemoryBound = true
		}
	}
}

// leaveOff does not wait any more for what nobody wants to know.
func (f *Fleet) leaveOff() {
	if !f.overlap.wanted {
		f.overlap.asked = time.Time{}
	}
}

// occupied says whether a process lives in a slot beside which another one is one more than
// there are to be. A canary is one more itself where its slot was not emptied for it.
// Who drains since it has failed, as it says, has crashed: it serves nobody, and may wait for
// the one that takes its place.
func (f *Fleet) occupied(slot int) bool {
	c := f.candidate
	return slices.ContainsFunc(f.teams[slot], func(w *Worker) bool {
		crashed := w.blamed && w.State == Draining
		return !w.unkillable && !crashed && (c == nil || w.ID != c.canary || c.canarySlot == slot)
	})
}

// OverlapReduced says whether the last process that was wanted beyond those that there are to
// be found no memory.
func (f *Fleet) OverlapReduced() bool {
	return f.overlap.reduced && f.current.MemoryBound && f.surge()+f.current.Spares > 0 && !f.Stopping()
}
