package fleet

import (
	"iter"
	"math"
	"slices"
	"time"
)

const (
	// Doubling is within what time the number of workers may double.
	Doubling = time.Second
	// ReleaseEvery is how long after one worker that is not needed the next one goes.
	ReleaseEvery = time.Second
)

// sizing is why the number of workers is what it is, where it may change.
type sizing struct {
	growths  []*growth   `state:"growths"`  // within Doubling
	needed   []time.Time `state:"needed"`   // when more workers than the index were needed last, for each that is asked for
	released time.Time   `state:"released"` // when the last worker went that was not
	seen     bool        `state:"seen"`     // there was a Demand, of which the rest is
	inFlight int         `state:"in_flight"`
	waiting  int         `state:"waiting"`
	room     int         `state:"room"`
	need     int         `state:"need"`  // how many workers that takes
	blind    bool        `state:"blind"` // the requests of some worker cannot be seen
}

// growth is when more workers were asked for, and how many there were until then.
type growth struct {
	At   time.Time `state:"at"`
	From int       `state:"from"`
}

// elastic says whether the number of workers follows the demand.
func (s *Settings) elastic() bool { return s.WorkersMax > 0 }

// fit returns how many workers a revision asks for that comes after one which asked for
// so many.
func (r *revision) fit(target int) int {
	if !r.elastic() {
		return r.floor
	}
	return max(min(target, r.bounded(r.WorkersMax)), r.floor)
}

// meet takes note of a demand, and asks for as many workers as it takes: for more at once,
// as far as that is allowed, and for one less when the last was not needed for so long, or
// does not fit into memory any more.
func (f *Fleet) meet(d Demand) {
	r, s := f.current, &f.sizing
	if !r.elastic() || f.Stopping() {
		return
	}
	f.measure(d)
	f.touch(max(s.need, r.floor))
	switch target := min(f.wants(), max(f.doubled(), r.floor)); {
	case target > r.target:
		f.resize(target)
	case f.excess():
		f.release(d)
	}
}

// measure works out how many workers a demand takes. One whose requests cannot be seen has
// as many as it is to have.
func (f *Fleet) measure(d Demand) {
	s := &f.sizing
	s.seen, s.inFlight, s.waiting, s.room, s.blind = true, 0, d.Waiting, d.Room, false
	per := max(f.current.InFlight, 1)
	total := d.Waiting
	for slot := range f.open() {
		n, known, hidden := f.busy(slot, d)
		s.inFlight += n
		if hidden && !known {
			n = per
		}
		s.blind = s.blind || hidden
		total += n
	}
	s.need = min(total/per+min(total%per, 1), math.MaxInt32)
}

// busy returns how many requests the ready workers of a slot have, as far as that is known
// of any, and whether there are others.
func (f *Fleet) busy(slot int, d Demand) (n int, known, hidden bool) {
	for _, w := range f.teams[slot] {
		if w.State != Ready {
			continue
		}
		i := slices.IndexFunc(d.InFlight, func(one InFlight) bool { return one.ID == w.ID })
		if i < 0 {
			hidden = true
			continue
		}
		known = true
		n += max(d.InFlight[i].N, 0)
	}
	return n, known, hidden
}

// wants returns how many workers there ought to be, as far as there is room for them.
func (f *Fleet) wants() int { return max(min(f.sizing.need, f.most()), f.current.floor) }

// most returns how many workers there may be, as far as is known of memory.
func (f *Fleet) most() int {
	r := f.current
	most := r.bounded(r.WorkersMax)
	if room := f.sizing.room; room > 0 {
		most = min(most, room)
	}
	return max(most, r.floor)
}

// doubled returns for how many workers may be asked now.
func (f *Fleet) doubled() int {
	s := &f.sizing
	s.growths = slices.DeleteFunc(s.growths, func(g *growth) bool { return f.now.Sub(g.At) >= Doubling })
	from := f.current.target
	for _, g := range s.growths {
		from = min(from, g.From)
	}
	return max(2*from, 1)
}

// touch notes that so many workers are needed now.
func (f *Fleet) touch(n int) {
	for i := range min(n, len(f.sizing.needed)) {
		f.sizing.needed[i] = f.now
	}
}

// excess says whether a worker is to go that was not needed for long, or has no room. While a
// reload is under way nobody goes.
func (f *Fleet) excess() bool {
	at, wanted := f.excessAt(), min(f.sizing.need, f.most())
	return !at.IsZero() && !at.After(f.now) && wanted < f.current.target
}

// excessAt returns when a worker is to go that will not have been needed for long, or has no
// room; zero: never, as things are.
func (f *Fleet) excessAt() time.Time {
	r, s := f.current, &f.sizing
	if r.target <= r.floor || s.blind || f.Reloading() {
		return time.Time{}
	}
	next := s.released.Add(ReleaseEvery)
	if at := s.needed[r.target-1].Add(r.IdleTimeout); r.target <= f.most() && at.After(next) {
		return at
	}
	return next
}

// release closes the slot that has the least to do, the last of those with equally little:
// one that nobody serves before all others.
func (f *Fleet) release(d Demand) {
	least, fewest := -1, 0
	for i := range f.open() {
		n, known, hidden := f.busy(i, d)
		if !known && !hidden {
			n = -1
		}
		if least < 0 || n <= fewest {
			least, fewest = i, n
		}
	}
	from := f.current.target
	f.sizing.released = f.now
	f.slots[least] = &slot{closed: true}
	f.current.target--
	f.fitSlots(ReasonScale)
	f.do(Rescale{from, f.current.target, f.current.floor, least})
}

// DemandBy returns when a [Demand] has to be told at the latest, though nothing happens;
// zero: never.
func (f *Fleet) DemandBy() time.Time {
	r, s := f.current, &f.sizing
	switch {
	case !r.elastic() || f.Stopping():
		return time.Time{}
	case s.seen && f.wants() > r.target && len(s.growths) > 0:
		return s.growths[0].At.Add(Doubling)
	}
	return f.excessAt()
}

// resize asks for so many workers from now on.
func (f *Fleet) resize(n int) {
	from := f.current.target
	f.current.target = n
	f.grew(from)
	f.fitSlots(ReasonScale)
	f.do(Rescale{from, n, f.current.floor, -1})
}

// grew notes that there were so many workers until now.
func (f *Fleet) grew(from int) {
	if f.current.target > from {
		f.sizing.growths = append(f.sizing.growths, &growth{f.now, from})
	}
}

// fitSlots opens the first closed slots, or closes the last open ones, until there are as
// many as workers are asked for; why is the reason for which new ones will be filled.
func (f *Fleet) fitSlots(why Reason) {
	n, open := f.current.target, 0
	for range f.open() {
		open++
	}
	for i := 0; open < n; i++ {
		if i == len(f.slots) {
			f.slots = append(f.slots, &slot{closed: true})
		}
		if f.slots[i].closed {
			f.slots[i] = &slot{why: why}
			open++
		}
	}
	for i := len(f.slots) - 1; i >= 0 && (open > n || f.slots[i].closed); i-- {
		if !f.slots[i].closed {
			open--
		}
		f.slots = f.slots[:i]
	}
	for len(f.teams) < len(f.slots) {
		f.teams = append(f.teams, nil)
	}
	f.fitNeeded()
}

// fitNeeded has every worker that is newly asked for be needed now.
func (f *Fleet) fitNeeded() {
	s := &f.sizing
	if !f.current.elastic() {
		s.needed = nil
		return
	}
	s.needed = s.needed[:min(len(s.needed), f.current.target)]
	for len(s.needed) < f.current.target {
		s.needed = append(s.needed, f.now)
	}
}

// open yields the slots that are to be filled.
func (f *Fleet) open() iter.Seq2[int, *slot] {
	return func(yield func(int, *slot) bool) {
		for i, s := range f.slots {
			if !s.closed && !yield(i, s) {
				return
			}
		}
	}
}

// Slots returns the slots that are to be filled.
func (f *Fleet) Slots() (all []int) {
	for i := range f.open() {
		all = append(all, i)
	}
	return all
}

// fills says whether a slot is to be filled.
func (f *Fleet) fills(slot int) bool {
	return slot >= 0 && slot < len(f.slots) && !f.slots[slot].closed
}

// slot returns what befell the workers before this one in its slot, or the spares; nil: its
// slot is not to be filled.
func (f *Fleet) slot(w *Worker) *slot {
	switch {
	case w.Spare():
		return &f.bench
	case f.fills(w.Slot):
		return f.slots[w.Slot]
	}
	return nil
}

// firstOpen returns the first slot that is to be filled; -1: there is none.
func (f *Fleet) firstOpen() int {
	for i := range f.open() {
		return i
	}
	return -1
}

// Floor returns how many workers there are at least.
func (f *Fleet) Floor() int { return f.current.floor }

// Follows says whether the number of workers follows the demand, as things are.
func (f *Fleet) Follows() bool { return f.current.elastic() && !f.Stopping() }

// AtMost says whether there are as many workers as there may be.
func (f *Fleet) AtMost() bool { return f.current.target >= f.current.bounded(f.current.WorkersMax) }

// Sizing is why the number of workers is what it is, where it follows the demand.
type Sizing struct {
	Floor, Most int  // how many there may be; Most is 0 where it does not follow
	PerWorker   int  // requests in flight that one is to have
	InFlight    int  // in flight, as far as is known
	Waiting     int  // connections that nobody has accepted
	Need        int  // how many workers that takes
	Room        int  // for how many there is memory; 0: that is not known
	Blind       bool // the requests of some cannot be seen
}

// Sizing returns why the number of workers is what it is.
func (f *Fleet) Sizing() Sizing {
	r, s := f.current, &f.sizing
	if !r.elastic() {
		return Sizing{}
	}
	return Sizing{
		Floor: r.floor, Most: r.bounded(r.WorkersMax), PerWorker: r.InFlight,
		InFlight: s.inFlight, Waiting: s.waiting, Need: s.need, Room: s.room, Blind: s.blind,
	}
}
