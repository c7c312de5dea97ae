package fleet

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// extent is what the oracle knows of how many workers there are to be.
type extent struct {
	target  int
	filled  []bool      // by slot, whether somebody is to be there
	scaled  bool        // the target was raised
	floor   int         // how many there are at least
	orders  []int       // how many that is to be, one after the other, in the step under way
	scale   int         // by how many more than are configured an operator wants, or fewer
	scales  map[int]int // of revisions that were replaced
	changes []change    // of the target, within Doubling
	needed  []time.Time // by how many workers, when as many were needed last
	went    time.Time   // when one went last that was not
	load    *load       // of the step under way; nil: it says nothing of that
}

// change is when the target changed, and what it was until then.
type change struct {
	at   time.Time
	from int
}

// load is what a Demand tells.
type load struct {
	need, most int
	reloading  bool
	blind      bool
	slots      map[int]int // what each has to do
	from       int         // the target before the step
	revision   int         // in force before the step
}

// slots yields those in which somebody is to be.
func (o *oracle) slots() iter.Seq[int] {
	return func(yield func(int) bool) {
		for slot, filled := range o.filled {
			if filled && !yield(slot) {
				return
			}
		}
	}
}

// fills says whether somebody is to be in the slot.
func (o *oracle) fills(slot int) bool { return slot >= 0 && slot < len(o.filled) && o.filled[slot] }

// retarget notes how many slots there are: the first that were closed are opened, and the
// last are closed. Of one that is gone, be it for a moment, another one will have the number.
func (o *oracle) retarget(n int) {
	for slot := 0; o.target < n; slot++ {
		if slot == len(o.filled) {
			o.filled = append(o.filled, false)
		}
		if !o.filled[slot] {
			o.filled[slot] = true
			o.target++
		}
	}
	for slot := len(o.filled) - 1; o.target > n; slot-- {
		if o.filled[slot] {
			o.filled[slot] = false
			o.target--
		}
	}
	o.forgetSlots()
}

// forgetSlots forgets what was of slots in which nobody is to be.
func (o *oracle) forgetSlots() {
	maps.DeleteFunc(o.granted, func(slot int, _ time.Time) bool { return slot != NoSlot && !o.fills(slot) })
}

// bounds returns how many workers there may be at least and at most, but for memory.
func bounds(s Settings) (least, most int) {
	least, most = min(s.Workers, 1), 1<<30
	if s.WorkersMax > 0 {
		most = s.WorkersMax
	}
	if n := len(s.Leases); n > 0 {
		most = min(most, n)
	}
	return least, most
}

// resettle notes how many workers another revision asks for.
func (o *oracle) resettle(now time.Time, a Apply) {
	was, is := o.settings[o.current], o.settings[a.Revision]
	o.scales[o.current] = o.scale
	o.need(now, o.floor)
	if is.Workers != was.Workers {
		o.scale = 0
		if a.Reason == ReasonRollback {
			o.scale = o.scales[a.Revision]
		}
	}
	least, most := bounds(is)
	o.floor = min(max(is.Workers+o.scale, least), most)
	n := o.floor
	if is.WorkersMax > 0 {
		n = max(min(o.target, most), n)
	}
	o.change(now, n)
	if is.WorkersMax == 0 {
		o.needed = nil
	}
}

// change notes another target.
func (o *oracle) change(now time.Time, n int) {
	if n != o.target {
		o.changes = append(o.changes, change{now, o.target})
	}
	o.retarget(n)
	o.need(now, 0)
}

// need notes that so many workers are needed; whoever is newly asked for is.
func (o *oracle) need(now time.Time, n int) {
	o.needed = o.needed[:min(len(o.needed), o.target)]
	for i := range min(n, len(o.needed)) {
		o.needed[i] = now
	}
	for len(o.needed) < o.target {
		o.needed = append(o.needed, now)
	}
}

// doubled is for how many workers may be asked at most so soon after the last change.
func (o *oracle) doubled(now time.Time) int {
	o.changes = slices.DeleteFunc(o.changes, func(c change) bool { return now.Sub(c.at) >= Doubling })
	from := o.target
	for _, c := range o.changes {
		from = min(from, c.from)
	}
	return max(2*from, 1)
}

// hearDemand notes what there is to do.
func (o *oracle) hearDemand(now time.Time, ev Event) {
	o.load = nil
	d, is := ev.(Demand)
	s := o.settings[o.current]
	if !is || s.WorkersMax == 0 || !o.stopAt.IsZero() || o.closed {
		return
	}
	l := &load{slots: map[int]int{}, from: o.target, revision: o.current, reloading: len(o.reloads) > 0}
	total := d.Waiting
	for slot := range o.slots() {
		l.slots[slot] = -1
		seen, hidden := -1, false
		for _, w := range o.alive {
			if w.Slot != slot || !w.ready || w.told || w.killed || !w.aborted.IsZero() {
				continue
			}
			i := slices.IndexFunc(d.InFlight, func(one InFlight) bool { return one.ID == w.ID })
			if i < 0 {
				hidden = true
			} else {
				seen = max(seen, 0) + d.InFlight[i].N
			}
		}
		l.slots[slot] = seen
		if l.blind = l.blind || hidden; hidden && seen < 0 {
			l.slots[slot] = s.InFlight
		}
		total += max(l.slots[slot], 0)
	}
	l.need = (total + s.InFlight - 1) / s.InFlight
	_, l.most = bounds(s)
	if d.Room > 0 {
		l.most = min(l.most, d.Room)
	}
	l.most = max(l.most, o.floor)
	o.load = l
	o.need(now, max(l.need, o.floor))
}

// hearScale notes how many workers an operator or the machine asks for.
func (o *oracle) hearScale(ev Event) {
	s, floor := o.settings[o.current], o.floor
	if !o.stopAt.IsZero() || o.closed || o.unsure {
		return
	}
	if len(o.orders) > 0 {
		floor = o.orders[len(o.orders)-1]
	}
	least, most := bounds(s)
	switch ev := ev.(type) {
	case ScaleBy:
		if n := min(max(floor+ev.N, least), most); n != floor {
			o.scale = n - s.Workers
		}
	case Recount:
		if s.Workers > 0 {
			s.Workers = ev.Workers
			o.settings[o.current] = s
		}
	default:
		return
	}
	if n := min(max(s.Workers+o.scale, least), most); n != floor {
		o.orders = append(o.orders, n)
	}
}

// rescaled checks that another number of workers is asked for.
func (o *oracle) rescaled(now time.Time, events []Event, a Rescale) string {
	least, most := bounds(o.settings[o.current])
	if a.From != o.target || a.To == a.From && a.Floor == o.floor || min(a.To, a.Floor) < least || max(a.To, a.Floor) > most || a.Floor > a.To {
		return "scaled wrongly"
	}
	byDemand := slices.ContainsFunc(events, func(ev Event) bool { _, is := ev.(Demand); return is })
	if !byDemand {
		o.need(now, o.floor)
	}
	switch l := o.load; {
	case !byDemand:
		by := len(o.orders) > 0 && a.Floor == o.orders[0]
		if by {
			o.orders = o.orders[1:]
		}
		if !by && (a.Floor != o.floor || a.To+a.From != 1) || o.settings[o.current].WorkersMax == 0 && a.To != a.Floor || a.To < a.From && a.To != a.Floor {
			return "scaled wrongly"
		}
	case l == nil, a.Floor != o.floor:
		return "scaled wrongly"
	case a.To > a.From && a.To > o.doubled(now):
		return "more than doubled within a second"
	case a.To > a.From && (a.To > max(l.need, o.floor) || a.To > l.most):
		return "more workers than are needed or have room"
	case a.To > a.From:
	case a.To != a.From-1 || !o.fills(a.Slot):
		return "more than one released at once"
	case now.Sub(o.went) < ReleaseEvery:
		return "more than one released at once"
	case a.To < o.floor || a.From <= l.most && now.Sub(o.needed[a.From-1]) < o.settings[o.current].IdleTimeout || l.blind || len(o.reloads) > 0:
		return "released too early"
	case slices.ContainsFunc(slices.Collect(maps.Values(l.slots)), func(n int) bool { return n < l.slots[a.Slot] }):
		return "another one released than the one with the least to do"
	}
	if a.To < a.From && byDemand {
		o.went = now
		o.changes = append(o.changes, change{now, o.target})
		o.filled[a.Slot] = false
		o.target--
		o.forgetSlots()
		o.need(now, 0)
	}
	o.scaled, o.floor = o.scaled || a.To > o.target, a.Floor
	o.change(now, a.To)
	o.forgetLeases()
	for key := range o.crashes {
		if key[0] != NoSlot && !o.fills(key[0]) {
			delete(o.crashes, key)
			delete(o.rows, key[0])
		}
	}
	return ""
}

// sized says whether there are too few workers, or one too many for too long.
func (o *oracle) sized(f *Fleet, now time.Time, events []Event) string {
	if o.settings[o.current].WorkersMax == 0 {
		o.floor = o.target
	}
	l := o.load
	if len(o.orders) > 0 {
		return "not as many workers as are asked for"
	}
	if len(events) != 1 || l == nil || o.halted || l.revision != o.current {
		return ""
	}
	before := o.doubled(now)
	switch least := min(max(l.need, o.floor), l.most); {
	case o.target < min(l.need, l.most, before):
		return "fewer workers than are needed"
	case o.target < min(l.need, l.most) && (f.DemandBy().IsZero() || f.DemandBy().Sub(now) > Doubling):
		return "growth forgotten"
	case l.blind || l.reloading || l.from != o.target || l.from <= least:
	case l.from > l.most && now.Sub(o.went) >= ReleaseEvery:
		return "more workers kept than have room"
	case l.from > l.most && (f.DemandBy().IsZero() || f.DemandBy().Sub(now) > ReleaseEvery):
		return "idle worker forgotten"
	case now.Sub(o.needed[l.from-1]) >= o.settings[o.current].IdleTimeout && now.Sub(o.went) >= ReleaseEvery:
		return "idle worker kept"
	case f.DemandBy().IsZero() || f.DemandBy().Sub(now) > max(o.settings[o.current].IdleTimeout, ReleaseEvery):
		return "idle worker forgotten"
	}
	if by := f.DemandBy(); !l.reloading && !by.IsZero() && !by.After(now) {
		return "demand asked for at once"
	}
	return ""
}
