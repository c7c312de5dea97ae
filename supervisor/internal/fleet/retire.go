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
	f.hurry = !f.unhurried()
	for _, w := range f.workers {
		canary := f.candidate != nil && w.ID == f.candidate.canary
		switch {
		case !w.serving() || canary:
		case w.Spare():
			f.retireSpare(w)
		case !f.fills(w.Slot):
			f.drain(w, ReasonScale)
		case w.State == Starting && w.Revision != f.current.number:
			f.drain(w, f.staleness(w))
		}
	}
	for i := range f.open() {
		f.thin(i)
	}
}

// thin leaves a slot the one worker it shall keep, once that one is ready.
func (f *Fleet) thin(slot int) {
	if len(f.teams[slot]) < 2 {
		return
	}
	starting, ready := f.in(slot)
	keep := f.keeper(ready)
	if keep == nil || !f.fresh(keep) {
		starting = nil // a successor of the one that serves
	}
	for _, w := range ready {
		if w != keep && !f.lingers(w) {
			f.drain(w, f.staleness(w))
		}
	}
	for _, w := range starting {
		if f.candidate == nil || w.ID != f.candidate.canary {
			f.drain(w, ReasonSurplus)
		}
	}
}

// keeper returns which of the ready workers of a slot it shall keep: a fresh one, or else,
// where a successor became stale itself, the newest, which serves until its own is ready. nil:
// there is none.
func (f *Fleet) keeper(ready []*Worker) *Worker {
	if i := slices.IndexFunc(ready, f.fresh); i >= 0 {
		return ready[i]
	}
	if len(ready) == 0 {
		return nil
	}
	return ready[len(ready)-1]
}

// in returns the workers of a slot that nobody told to finish, by state.
func (f *Fleet) in(slot int) (starting, ready []*Worker) {
	for _, w := range f.teams[slot] {
		switch w.State {
		case Starting:
			starting = append(starting, w)
		case Ready:
			ready = append(ready, w)
		}
	}
	return starting, ready
}

// fresh says whether the worker is one that its slot shall keep.
func (f *Fleet) fresh(w *Worker) bool { return f.own(w) && w.Recycle == "" }

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
	if s := f.slot(w); s != nil && why != ReasonSurplus {
		s.why = why
	}
}

// grace is how long a worker that is replaced may take to finish at most. One that is
// not ready, or a spare, has nothing to finish, and one that is stuck only what others are
// not to lose.
func (f *Fleet) grace(w *Worker) time.Duration {
	graceful, drain := f.current.GracefulTimeout, f.current.DrainTimeout
	switch {
	case w.Stuck:
		return graceful
	case w.State == Starting, w.Spare():
		return min(drain, graceful)
	}
	return drain
}
