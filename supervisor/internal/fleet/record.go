package fleet

import "time"

// record turns an event into facts. What follows from them for the fleet is
// decided later in the step; here is only what a worker or a wish means by
// itself: that it is ready, stuck or gone, and what an exit is blamed on.
func (f *Fleet) record(ev Event) {
	switch ev := ev.(type) {
	case Exited:
		if w := f.worker(ev.ID); w != nil {
			f.bury(w)
		}
	case Executed:
		if w := f.worker(ev.ID); w != nil && w.State == Starting && w.aliveAt.IsZero() {
			r := f.of(w)
			if r.Ready == ReadyAlive || r.Ready == ReadyAuto && !r.cooperates && !w.cooperates {
				w.aliveAt = f.now.Add(max(r.ReadyAfter, 1))
			}
		}
	case SaidReady:
		if w := f.worker(ev.ID); w != nil {
			f.saidReady(w)
		}
	case Waits:
		if w := f.worker(ev.ID); w != nil && w.State == Starting {
			w.waits = true
		}
	case Cooperates:
		if w := f.worker(ev.ID); w != nil && !w.cooperates {
			f.cooperates(w)
		}
	case SaidStopping:
		if w := f.worker(ev.ID); w != nil && w.serving() {
			w.left = true
			if w.Slot < len(f.slots) {
				f.slots[w.Slot].why = ReasonLeft
			}
			w.State = Draining
			w.aliveAt = time.Time{}
			w.due = f.now.Add(f.current.DrainTimeout)
		}
	case Recycle:
		if w := f.worker(ev.ID); w != nil && w.serving() && w.Recycle == "" {
			w.Recycle = ev.Reason
		}
	case Wish:
		if w := f.worker(ev.ID); w != nil && w.wish == "" {
			w.wish = ev.Reason
		}
	case Looked:
		for _, sight := range ev.Sights {
			if w := f.worker(sight.ID); w != nil && (w.State == Ready || w.State == Draining) {
				f.see(w, sight)
			}
		}
	case Oversized:
		if w := f.worker(ev.ID); w != nil {
			w.oversized = true
		}
	case Extend:
		if w := f.worker(ev.ID); w != nil && (w.State == Starting || w.State == Ready && w.guessed) {
			if due := f.now.Add(ev.By); due.After(w.due) {
				w.due = due
			}
		}
	case ScaleBy:
		f.scale(ev.N)
	case Reload:
		f.reload(ev)
	case Stop:
		f.stop(ev.Quick)
	}
}

// of returns the revision of a worker: the candidate, the fallback, or else
// the one in force.
func (f *Fleet) of(w *Worker) *revision {
	for _, r := range []*revision{f.candidate, f.fallback} {
		if r != nil && r.number == w.Revision {
			return r
		}
	}
	return f.current
}

// see notes what a look saw of a worker: that it has to go soon, or no longer
// so. One that drains already gets no more time than its innocent requests may
// need. When the loop was late just now the worker may not have had the time to
// do better; so the looks of [Lateness] have to agree before it is believed, and
// then it is, however often the loop is late.
func (f *Fleet) see(w *Worker, sight Sight) {
	why := sight.stuck()
	if why == "" {
		w.seenStuck = time.Time{}
		if w.Stuck {
			w.Stuck, w.Innocents = false, 0
			f.do(Recovered{w.ID})
		}
		return
	}
	if w.seenStuck.IsZero() {
		w.seenStuck = f.now
	}
	if f.now.Sub(f.lateAt) < Lateness && f.now.Sub(w.seenStuck) < Lateness {
		return
	}
	if !w.Stuck {
		f.do(FoundStuck{w.ID, why, sight.Innocents})
	}
	if w.State == Draining && w.due.Sub(f.now) < CutMargin {
		sight.Innocents = max(sight.Innocents, w.Innocents) // it cuts them about now
	}
	w.Stuck, w.Innocents, w.Recycle = true, sight.Innocents, why
	if w.State == Draining && !f.late {
		f.hasten(w, f.now.Add(f.grace(w)))
	}
}

// bury removes a worker that is gone and draws the lesson of its exit.
func (f *Fleet) bury(w *Worker) {
	f.part(w)
	verdict := f.verdict(w)
	if !w.told && !w.blamed {
		f.blame(w, verdict)
	}
	f.do(Bury{Worker: *w, Verdict: verdict, Reason: w.fault(verdict), Backoff: w.backoff})
}

// verdict is what it means when the worker goes now.
func (f *Fleet) verdict(w *Worker) Verdict {
	switch {
	case w.told || w.left && !w.ReadyAt.IsZero():
		return Retired
	case w.ReadyAt.IsZero(), w.guessed && !w.oversized && !f.stayed(w, f.now):
		return BootFailed
	}
	return Crashed
}

// blame counts an exit nobody asked for, or a worker that had to be killed,
// against the worker's slot and revision, and draws how long the slot stays
// empty. The failure of a canary ends its reload and teaches nothing about the
// slot, that of an older revision nothing about the current one.
func (f *Fleet) blame(w *Worker, verdict Verdict) {
	w.blamed = true
	why := w.fault(verdict)
	inSlots := w.Slot < len(f.slots)
	if w.Revision != f.current.number {
		if inSlots && !w.ReadyAt.IsZero() {
			f.slots[w.Slot].why = why
		}
		return
	}
	r := f.current
	settled := f.stayed(w, f.now)
	switch {
	case verdict == BootFailed:
		r.failures++
		r.culprit = w.ID
	case verdict == Crashed && !settled:
		r.crashes++
		r.culprit = w.ID
	}
	if !inSlots {
		return
	}
	s := f.slots[w.Slot]
	switch {
	case s.revision != r.number:
		*s = slot{revision: r.number, wished: s.wished}
	case settled: // boots that failed since it started are in a row all the same
		s.crashes, s.early, s.until = 0, 0, time.Time{}
	}
	s.why = why
	switch {
	case verdict == BootFailed:
		s.failures++
		s.culprit = w.ID
	case verdict == Crashed && !settled:
		s.early++
		s.culprit = w.ID
	}
	s.crashes++
	if s.crashes < 2 {
		return
	}
	w.backoff = f.backoff(r, s.crashes-2)
	s.until = f.now.Add(w.backoff)
}

// stayed says whether the worker had been ready for long enough at the time for
// earlier crashes to be forgiven.
func (f *Fleet) stayed(w *Worker, at time.Time) bool {
	long := f.of(w).ResetAfter
	return !w.ReadyAt.IsZero() && long > 0 && at.Sub(w.ReadyAt) >= long
}

// credit forgives the crashes before a worker that has now stayed for long
// enough: those of its slot, and, in a rollout, of all. Of one that was guessed
// to be ready it forgives the failed boots as well.
func (f *Fleet) credit(before time.Time) {
	for _, w := range f.workers {
		if w.State != Ready || !f.own(w) || !f.stayed(w, f.now) || f.stayed(w, before) {
			continue
		}
		f.current.crashes = 0
		if w.guessed {
			f.started(w)
		}
		if w.Slot < len(f.slots) && f.slots[w.Slot].revision == w.Revision {
			f.slots[w.Slot].crashes, f.slots[w.Slot].early = 0, 0
		}
	}
}

// backoff returns the n-th delay of a crash loop: doubled each time, and drawn
// from its upper half so that slots that crash together do not come back
// together.
func (f *Fleet) backoff(r *revision, n int) time.Duration {
	delay := r.BackoffMin
	for range n {
		if delay >= r.BackoffMax/2 {
			delay = r.BackoffMax
			break
		}
		delay *= 2
	}
	delay = min(delay, r.BackoffMax)
	return delay/2 + time.Duration(f.draw()*float64(delay-delay/2))
}

// scale changes the number of workers asked for.
func (f *Fleet) scale(by int) {
	if f.Stopping() {
		return
	}
	from := f.current.target
	f.current.target = max(1, from+by)
	if f.current.target != from {
		f.fitSlots(ReasonScale)
		f.do(Rescale{from, f.current.target})
	}
}

// reload makes a revision the candidate; one that is being tried is forgotten.
func (f *Fleet) reload(ev Reload) {
	if f.Stopping() {
		f.do(EndReload{Revision: ev.Revision, Result: Superseded})
		return
	}
	f.supersede()
	f.candidate = &revision{Settings: ev.Settings, number: ev.Revision, target: ev.Settings.Workers, canarySlot: -1}
	for _, r := range []*revision{f.current, f.fallback} {
		if r != nil && r.Command == ev.Settings.Command {
			f.candidate.cooperates = f.candidate.cooperates || r.cooperates
		}
	}
}

// supersede ends the trial under way, if there is one.
func (f *Fleet) supersede() {
	if f.candidate != nil {
		f.end(f.candidate, Superseded, 0)
		f.candidate = nil
	}
}

// stop ends what is under way and has the fleet close: now, or when the delay
// is over, for which there is no use if nothing was ever ready. Another stop can
// only bring the end forward.
func (f *Fleet) stop(quick bool) {
	graceful := f.current.GracefulTimeout
	f.quick = f.quick || quick
	switch {
	case !quick && f.Stopping():
	case quick && f.stopping:
		f.close(f.now.Add(QuickGrace))
	case quick && !f.stopAt.IsZero():
		f.close(earlier(f.now.Add(QuickGrace), f.stopAt.Add(graceful)))
	default:
		f.supersede()
		if f.fallback != nil {
			f.end(f.current, Superseded, 0)
			f.fallback = nil
		}
		switch {
		case quick:
			f.close(f.now.Add(QuickGrace))
		case f.served() && f.current.StopDelay > 0:
			f.stopAt = f.now.Add(f.current.StopDelay)
		default:
			f.close(f.now.Add(graceful))
		}
	}
}

// close tells the whole fleet to end by a common deadline.
func (f *Fleet) close(by time.Time) {
	if f.stopping {
		f.stopBy = earlier(f.stopBy, by)
		return
	}
	f.stopping, f.stopAt, f.stopBy = true, time.Time{}, by
	f.do(Close{})
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
