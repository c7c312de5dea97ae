package fleet

import (
	"slices"
	"time"
)

// retire tells every worker to finish that is no longer wanted.
func (f *Fleet) retire() {
	if f.stopping {
		f.retireAll()
		return
	}
	for _, w := range f.workers {
		canary := f.candidate != nil && w.ID == f.candidate.canary
		switch {
		case !w.serving() || canary:
		case w.Slot >= f.current.target:
			f.drain(w, ReasonScale)
		case w.State == Starting && w.Revision != f.current.number:
			f.drain(w, f.staleness(w))
		}
	}
	for i := range f.slots {
		f.thin(i)
	}
}

// thin leaves a slot the one worker it shall keep, once that one is ready.
func (f *Fleet) thin(slot int) {
	if len(f.teams[slot]) < 2 {
		return
	}
	starting, ready := f.in(slot)
	keep := slices.IndexFunc(ready, f.fresh)
	if keep < 0 {
		if len(ready) < 2 {
			return
		}
		// Several stale ones, because a successor became stale itself: the
		// newest serves until its own is ready.
		keep, starting = len(ready)-1, nil
	}
	for i, w := range ready {
		if i != keep {
			f.drain(w, f.staleness(w))
		}
	}
	for _, w := range starting {
		if f.candidate == nil || w.ID != f.candidate.canary {
			f.drain(w, ReasonSurplus)
		}
	}
}

// staleness is the reason for which a worker is not fresh.
func (f *Fleet) staleness(w *Worker) Reason {
	switch {
	case w.Stuck:
		return w.Recycle
	case w.Revision > f.current.number && f.candidate == nil:
		return ReasonRollback
	case w.Revision != f.current.number:
		return ReasonReload
	case w.Recycle != "":
		return w.Recycle
	}
	return ReasonSurplus
}

// drain sends a worker its stop signal.
func (f *Fleet) drain(w *Worker, why Reason) {
	f.tell(w, f.now.Add(f.grace(w)), why)
	if w.Slot < len(f.slots) && why != ReasonSurplus {
		f.slots[w.Slot].why = why
	}
}

// grace is how long a worker that is replaced may take to finish. One that is
// not ready has nothing to finish, and one that is stuck only what others are
// not to lose.
func (f *Fleet) grace(w *Worker) time.Duration {
	graceful, drain := f.current.GracefulTimeout, f.current.DrainTimeout
	switch {
	case w.Stuck && w.Innocents == 0:
		return min(StuckGrace, graceful)
	case w.Stuck:
		return graceful
	case w.State == Starting:
		return min(drain, graceful)
	}
	return drain
}

// tell sends the stop signal, which a worker gets once in its life.
func (f *Fleet) tell(w *Worker, until time.Time, why Reason) {
	w.told = true
	w.State = Draining
	w.aliveAt = time.Time{}
	w.due, w.Until, w.Why = until, until, why
	f.do(Retire{w.ID, until, why})
	if !until.After(f.now) {
		f.expire(w)
	}
}

// hasten brings the end of a drain forward.
func (f *Fleet) hasten(w *Worker, until time.Time) {
	if w.due.After(until) {
		w.due, w.Until = until, until
		f.do(Hasten{w.ID, until})
		if !until.After(f.now) {
			f.expire(w)
		}
	}
}

// retireAll gives the whole fleet the common deadline of a stop. Who is stuck gets no
// more of it than elsewhere, and, unless the stop is a quick one, the time for its
// stacks on top.
func (f *Fleet) retireAll() {
	for _, w := range f.workers {
		switch {
		case w.serving() && w.Stuck:
			f.tell(w, earlier(f.stopBy, f.now.Add(f.grace(w))), ReasonStop)
		case w.serving():
			f.tell(w, f.stopBy, ReasonStop)
		case w.State == Draining:
			f.hasten(w, f.stopBy)
		case !w.killed && w.Stuck && !f.quick:
			w.due = earlier(w.due, f.stopBy.Add(AbortGrace))
		case !w.killed:
			w.due = earlier(w.due, f.stopBy)
		}
		if !w.killed && !w.due.After(f.now) {
			f.kill(w, ReasonGrace)
		}
		if end := f.stopBy.Add(KillGrace); w.killed && end.After(f.now) {
			w.due = end
		}
	}
}
