package fleet

import "time"

// bury removes a worker that is gone and draws the lesson of its exit.
func (f *Fleet) bury(w *Worker) {
	f.part(w)
	f.overlap.told = time.Time{} // there is more now
	if w.Lease != nil {
		f.remains = append(f.remains, &remains{ID: w.ID, Lease: w.Lease, due: f.now.Add(UnkillableAfter)})
	}
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

// fault is what was wrong with a worker that went with this verdict, if nobody had
// told it to.
func (w *Worker) fault(verdict Verdict) Reason {
	switch {
	case w.oversized:
		return ReasonMemory
	case verdict == BootFailed:
		return ReasonStartup
	case w.left:
		return ReasonLeft
	}
	return ReasonCrash
}

// blame counts an exit nobody asked for, or a worker that had to be killed,
// against the worker's slot and revision, and draws how long the slot stays
// empty. The failure of a canary ends its reload and teaches nothing about the
// slot, that of an older revision nothing about the current one.
func (f *Fleet) blame(w *Worker, verdict Verdict) {
	w.blamed = true
	why := w.fault(verdict)
	s := f.slot(w)
	if w.Revision != f.current.number {
		if s != nil && !w.ReadyAt.IsZero() {
			s.why = why
		}
		return
	}
	r := f.current
	stayed := f.stayed(w, f.now)
	switch {
	case verdict == BootFailed:
		r.failures++
		r.culprit = w.ID
	case verdict == Crashed && !stayed:
		r.crashes++
		r.culprit = w.ID
	}
	if s == nil {
		return
	}
	switch {
	case s.revision != r.number:
		*s = slot{revision: r.number, wished: s.wished, lease: s.lease}
	case stayed: // boots that failed since it started are in a row all the same
		s.crashes, s.early, s.until = 0, 0, time.Time{}
	}
	s.why = why
	switch {
	case verdict == BootFailed:
		s.failures++
		s.culprit = w.ID
	case verdict == Crashed && !stayed:
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

// stayed says whether the worker had been ready, and had its slot, for long enough at the
// time for earlier crashes to be forgiven.
func (f *Fleet) stayed(w *Worker, at time.Time) bool {
	long := f.of(w).ResetAfter
	return !w.ReadyAt.IsZero() && long > 0 && at.Sub(w.ReadyAt) >= long && at.Sub(w.takenAt) >= long
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
		if s := f.slot(w); s != nil && s.revision == w.Revision {
			s.crashes, s.early = 0, 0
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
