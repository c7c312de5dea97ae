package fleet

import (
	"slices"
	"time"
)

// late says whether the step comes so long after something was due that nobody is
// to be punished in it.
func (o *oracle) late(now time.Time, events []Event) bool {
	late := !o.next.IsZero() && now.Sub(o.next) > Lateness
	for _, ev := range events {
		if l, ok := ev.(Looked); ok {
			late = late || now.Sub(l.Due) > Lateness
		}
	}
	switch {
	case late:
		o.lateAt = now
		if o.lateFrom.IsZero() {
			o.lateFrom = now
		}
	case !o.lateFrom.IsZero() && now.Sub(o.lateAt) >= Lateness:
		o.lateFrom = time.Time{}
	}
	return late && now.Sub(o.lateFrom) < LateGrace
}

// postpone gives what is overdue another moment.
func (o *oracle) postpone(now time.Time) {
	later := func(t *time.Time) {
		if !t.IsZero() && !t.After(now) {
			*t = now.Add(Lateness)
		}
	}
	o.postponeLoaders(now)
	for _, w := range o.alive {
		if w.aborted.IsZero() {
			later(&w.until)
			later(&w.bound)
			if w.told && w.bound.Before(w.until) {
				w.bound = w.until
			}
			later(&w.startBy)
		}
		later(&w.aborted)
		later(&w.oldAt)
	}
	if later(&o.closeBy); !o.closeBy.IsZero() {
		o.atMost(o.closeBy)
	}
	if before := o.delay; !before.IsZero() {
		later(&o.delay)
		o.stopAt = o.stopAt.Add(o.delay.Sub(before))
	}
	if !o.stopAt.IsZero() {
		o.stopAt = o.stopAt.Add(Lateness)
		if by := now.Add(Lateness + KillGrace); by.After(o.stopAt) {
			o.stopAt = by
		}
	}
}

// look notes what a look saw: it is to be acted on at once, or, when the loop was
// late a moment ago, if the looks have agreed on it for longer than that.
func (o *oracle) look(now time.Time, w *life, sight Sight, late bool) {
	if !sight.Overdue && !sight.Silent {
		w.stuck, w.seen = false, time.Time{}
		if w.told && !late {
			w.until = w.bound
		}
		return
	}
	if w.seen.IsZero() {
		w.seen = now
	}
	if now.Sub(o.lateAt) < Lateness && now.Sub(w.seen) < Lateness {
		return
	}
	w.stuck, w.innocents, w.recycling = true, sight.Innocents, true
	if by := now.Add(o.settings[o.current].GracefulTimeout); w.told && by.Before(w.bound) {
		w.bound = by
	}
	if w.told && !late {
		w.until = w.ends(now)
	}
}

// ends is when the retirement of a stuck worker is over that has not ended yet: an
// innocent request has all the time there is, whenever it came.
func (w *life) ends(now time.Time) time.Time {
	if w.innocents > 0 {
		return w.bound
	}
	return slices.MinFunc([]time.Time{w.bound, w.until, now.Add(StuckGrace)}, time.Time.Compare)
}

// relieved says whether a successor of a stuck worker is starting, or has to
// wait because too many boot already or because its boots fail.
func (o *oracle) relieved(w *life) bool {
	if o.loads(o.stepped) {
		return true
	}
	booting := 0
	for _, s := range o.alive {
		if s.booting() {
			booting++
			if s.Slot == w.Slot {
				return true
			}
		}
	}
	if p := o.settings[o.current].StartParallel; p > 0 && booting >= p {
		return true
	}
	c := o.crashes[[2]int{w.Slot, o.current}]
	return c != nil && (c.n > 0 || c.until.After(o.stepped))
}
