package fleet

import (
	"cmp"
	"slices"
	"time"
)

// recycle replaces the workers in force that are to be: those that fail before those that
// do not, and who has been ready for longest before the others. In the order of the slots
// the first of them could be replaced again and again while the last one waits.
func (f *Fleet) recycle(r *room) {
	var due []*Worker
	for i := range f.open() {
		if w := f.stale(i); w != nil && w.Revision == f.current.number && w.Recycle != "" {
			due = append(due, w)
		}
	}
	rank := func(w *Worker) int {
		if w.failing.IsZero() {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(due, func(a, b *Worker) int {
		return cmp.Or(rank(a)-rank(b), a.ReadyAt.Compare(b.ReadyAt))
	})
	for _, w := range due {
		if f.stale(w.Slot) == w { // one that gave way may have taken others with it
			f.succeed(r, w)
		}
	}
}

// grownOld orders a replacement for a worker that still serves.
func (f *Fleet) grownOld(w *Worker) {
	w.expires = time.Time{}
	if w.State == Ready && w.Recycle == "" {
		w.Recycle = ReasonLifetime
	}
}

// grant orders a replacement for every worker that wishes it, unless it has to wait:
// one that did nothing but wish would keep the fleet booting, as one that crashes
// would without a backoff.
func (f *Fleet) grant() {
	for _, w := range f.workers {
		at := f.grantAt(w)
		switch {
		case at.IsZero():
		case at.After(f.now):
			if !w.deferred {
				w.deferred = true
				f.do(Defer{w.ID, w.wish, at})
			}
		default:
			w.Recycle, f.slot(w).wished = w.wish, f.now
		}
	}
}

// grantAt returns when the wish of a worker may be granted: at once, if none was in
// its slot within ResetAfter; zero: it has none, or goes anyway. Where crashes are
// never forgiven a wish waits for as long as a crash loop may.
func (f *Fleet) grantAt(w *Worker) time.Time {
	s := f.slot(w)
	if w.wish == "" || !w.serving() || w.Recycle != "" || s == nil {
		return time.Time{}
	}
	if last := s.wished; !last.IsZero() {
		return last.Add(cmp.Or(f.current.ResetAfter, f.current.BackoffMax))
	}
	return f.now
}
