package fleet

import "time"

// escalate does to every worker whose time is over what comes next for it.
func (f *Fleet) escalate() {
	for _, w := range f.workers {
		if w.oversized && w.State != Killed {
			f.kill(w, ReasonMemory)
		}
	}
	if f.late {
		f.postpone()
		return
	}
	if !f.stopAt.IsZero() && !f.stopAt.After(f.now) {
		f.close(f.now.Add(f.current.GracefulTimeout))
	}
	for _, w := range f.workers {
		if f.looksReady(w) {
			f.announce(w)
		}
		if !w.expires.IsZero() && !w.expires.After(f.now) {
			f.grownOld(w)
		}
		if w.due.IsZero() || w.due.After(f.now) {
			continue
		}
		switch w.State {
		case Starting:
			f.abort(w, ReasonStartup)
		case Ready:
			w.due = time.Time{}
			f.prove(w)
			if f.own(w) && !w.holds {
				f.current.holds = false
			}
			f.do(Plain{w.ID})
		case Draining:
			f.expire(w)
		case Aborted:
			f.kill(w, ReasonGrace)
		case Killed:
			f.outlived(w.ID, &w.unkillable, &w.due)
		}
	}
	for _, one := range f.remains {
		f.outlived(one.ID, &one.unkillable, &one.due)
	}
	f.escalateLoaders()
}

// tell sends the stop signal, which a worker gets once in its life. It has until then
// at most.
func (f *Fleet) tell(w *Worker, until time.Time, why Reason) {
	w.is(Draining, until)
	w.due = f.drained(w)
	w.told, w.Until, w.Why = true, w.due, why
	f.do(Retire{w.ID, w.due, why})
	if !w.due.After(f.now) {
		f.expire(w)
	}
}

// drained returns when a drain ends as things are. Of a worker that is stuck only the
// innocent requests are waited for; where there is none, one may arrive just now.
func (f *Fleet) drained(w *Worker) time.Time {
	if w.Stuck && w.Innocents == 0 {
		return sooner(w.bound, sooner(w.due, f.now.Add(StuckGrace)))
	}
	return w.bound
}

// hasten brings forward until when a drain may take at most.
func (f *Fleet) hasten(w *Worker, until time.Time) {
	w.bound = sooner(w.bound, until)
	f.move(w, sooner(w.due, until))
}

// move has a drain end at another time.
func (f *Fleet) move(w *Worker, due time.Time) {
	switch {
	case due.Before(w.due):
		f.do(Hasten{w.ID, due})
	case due.After(w.due):
		f.do(Prolong{w.ID, due})
	default:
		return
	}
	w.due, w.Until = due, due
	if !due.After(f.now) {
		f.expire(w)
	}
}

// AsksForStacks reports whether a worker whose time to drain is over gets the abort
// signal before it is killed, as things are.
func (f *Fleet) AsksForStacks(w *Worker) bool { return w.Stuck && !f.quick }

// expire ends a worker whose time to drain is over. A quick stop does not
// wait for stacks.
func (f *Fleet) expire(w *Worker) {
	if f.AsksForStacks(w) {
		f.abort(w, w.Recycle)
	} else {
		f.kill(w, ReasonGrace)
	}
}

// abort asks a worker that hangs for its stacks before it is killed.
func (f *Fleet) abort(w *Worker, why Reason) {
	w.is(Aborted, f.now.Add(AbortGrace))
	f.do(Abort{w.ID, why})
}

// kill ends a worker whose grace is over, or that may not live a moment longer.
func (f *Fleet) kill(w *Worker, why Reason) {
	aborted, failed := w.State == Aborted, w.failed()
	w.is(Killed, f.now.Add(UnkillableAfter))
	if (failed || w.oversized) && !w.told && !w.blamed {
		f.blame(w, f.verdict(w))
	}
	f.do(Kill{w.ID, why, aborted})
}
