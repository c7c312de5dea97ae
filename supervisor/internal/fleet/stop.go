package fleet

import (
	"slices"
	"time"
)

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
		f.close(sooner(f.now.Add(QuickGrace), f.stopAt.Add(graceful)))
	default:
		f.supersede()
		if f.fallback != nil {
			f.endReload(f.current, Superseded, 0)
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
		f.stopBy = sooner(f.stopBy, by)
		return
	}
	f.stopping, f.stopAt, f.stopBy = true, time.Time{}, by
	f.do(Close{})
}

// retireAll gives the whole fleet the common deadline of a stop, the spares before those who
// serve.
func (f *Fleet) retireAll() {
	for _, spare := range []bool{true, false} {
		for _, w := range f.workers {
			if w.Spare() == spare {
				f.finish(w)
			}
		}
	}
}

// finish gives a worker the common deadline of a stop. Who is stuck gets no more of it than
// elsewhere, and, unless the stop is a quick one, the time for its stacks on top.
func (f *Fleet) finish(w *Worker) {
	switch {
	case w.serving() && w.Stuck:
		f.tell(w, sooner(f.stopBy, f.now.Add(f.grace(w))), ReasonStop)
	case w.serving():
		f.tell(w, f.stopBy, ReasonStop)
	case w.State == Draining:
		f.hasten(w, f.stopBy)
	case w.State == Aborted && f.AsksForStacks(w):
		w.due = sooner(w.due, f.stopBy.Add(AbortGrace))
	case w.State == Aborted:
		w.due = sooner(w.due, f.stopBy)
	}
	if w.State != Killed && !w.due.After(f.now) {
		f.kill(w, ReasonGrace)
	}
	if end := f.stopBy.Add(KillGrace); w.State == Killed && end.After(f.now) {
		w.due = end
	}
}

// halt notices that a stop is complete.
func (f *Fleet) halt() {
	if f.stopping && (len(f.workers)+len(f.loaders) == 0 || f.abandoned()) {
		f.halted = true
		f.do(Halt{f.gaveUp, f.gaveUpLoading})
	}
}

// abandoned says whether nothing is left but processes that SIGKILL did not
// end in time (they hang in the kernel, and die when it lets go of them).
func (f *Fleet) abandoned() bool {
	return f.now.Sub(f.stopBy) >= KillGrace && f.count(func(w *Worker) bool { return w.State != Killed }) == 0 &&
		!slices.ContainsFunc(f.loaders, func(l *Loader) bool { return l.State != LoaderKilled })
}
