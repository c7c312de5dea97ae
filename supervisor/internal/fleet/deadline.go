package fleet

import "time"

// Deadline returns when to Step with a Tick next; false if nothing is due
// until something happens.
func (f *Fleet) Deadline() (time.Time, bool) {
	var next time.Time
	consider := func(t time.Time) {
		if t.After(f.now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if f.halted {
		return next, false
	}
	for _, w := range f.workers {
		consider(w.due)
		consider(w.aliveAt)
		consider(w.expires)
		consider(f.grantAt(w))
		if w.Lingers() {
			consider(w.linger.since.Add(LingerFor))
		}
	}
	for _, one := range f.remains {
		consider(one.due)
	}
	for _, l := range f.loaders {
		consider(l.due)
	}
	consider(f.stopAt)
	if !f.stopping {
		if o := f.overlap; !o.asked.IsZero() {
			consider(o.asked.Add(RoomFor))
		} else if o.waits {
			consider(o.told.Add(RoomEvery))
		}
		if c := f.backlog; !c.since.IsZero() && !c.said {
			consider(c.since.Add(LingerFor))
		}
		for _, s := range f.open() {
			if s.revision == f.current.number {
				consider(s.until)
			}
		}
		if f.bench.revision == f.current.number {
			consider(f.bench.until)
		}
		for _, r := range []*revision{f.current, f.candidate} {
			if r != nil {
				consider(r.loads.until)
			}
		}
	}
	return next, !next.IsZero()
}

// Horizon returns until when what is under way may take: by then every starting
// worker is ready or was killed, every drain is over, every backoff has ended in
// a boot, and a stop is complete. What follows from one of those may take until
// a later horizon. Zero: nothing is under way; that a worker will be old some day
// is not.
func (f *Fleet) Horizon() time.Time {
	if !f.stopAt.IsZero() {
		return f.stopAt.Add(f.current.GracefulTimeout + KillGrace)
	}
	var last time.Time
	consider := func(t time.Time) {
		if t.After(last) {
			last = t
		}
	}
	for _, w := range f.workers {
		if w.State != Ready && w.State != Killed {
			consider(w.due.Add(AbortGrace))
		}
		if w.Lingers() {
			consider(w.linger.since.Add(LingerFor))
		}
	}
	for _, l := range f.loaders {
		if l.State == LoaderStarting {
			consider(l.due.Add(AbortGrace))
		} else {
			consider(l.due)
		}
	}
	if f.stopping {
		consider(f.stopBy.Add(KillGrace))
		return last
	}
	if !f.overlap.asked.IsZero() {
		consider(f.overlap.asked.Add(RoomFor))
	}
	for _, s := range f.open() {
		if s.inBackoff(f.current.number, f.now) {
			consider(s.until.Add(f.current.StartupTimeout + AbortGrace))
		}
	}
	if f.bench.inBackoff(f.current.number, f.now) {
		consider(f.bench.until.Add(f.current.StartupTimeout + AbortGrace))
	}
	for _, r := range []*revision{f.current, f.candidate} {
		if r != nil && r.loads.until.After(f.now) {
			consider(r.loads.until.Add(r.StartupTimeout + AbortGrace))
		}
	}
	return last
}

// excused says whether the loop was late, so that what is overdue has to be
// given another moment: there may be news in a queue. All that was to happen
// counts, a look at the workers as well. Where one such step follows the other
// that is the end of it some time.
func (f *Fleet) excused(now time.Time, events []Event) bool {
	due, _ := f.Deadline()
	for _, ev := range events {
		if l, ok := ev.(Looked); ok && !l.Due.IsZero() && (due.IsZero() || l.Due.Before(due)) {
			due = l.Due
		}
	}
	if due.IsZero() || now.Sub(due) <= Lateness {
		if now.Sub(f.lateAt) >= Lateness { // what was postponed is up in this step
			f.lateSince = time.Time{}
		}
		return false
	}
	if f.lateSince.IsZero() {
		f.lateSince = now
	}
	f.lateAt = now
	return now.Sub(f.lateSince) < LateGrace
}

// postpone gives everything that is overdue another moment: the loop itself
// did not run, and the news that would have saved a worker may still be
// waiting in a queue.
func (f *Fleet) postpone() {
	later := func(t *time.Time) {
		if !t.IsZero() && !t.After(f.now) {
			*t = f.now.Add(Lateness)
		}
	}
	for _, w := range f.workers {
		later(&w.due)
		if w.State == Draining && w.bound.Before(w.due) {
			w.bound = w.due // who is given a moment has it, even if all of its time was up soon
		}
		later(&w.aliveAt)
		later(&w.expires)
	}
	for _, one := range f.remains {
		later(&one.due)
	}
	for _, l := range f.loaders {
		later(&l.due)
	}
	later(&f.stopAt)
	later(&f.stopBy)
}

// sooner returns the sooner of two times, neither of which is zero.
func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
