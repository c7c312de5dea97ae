package fleet

import "time"

// compare orders a replacement for a worker that fails while others do not. One that fails
// for what all of them need is no better when it is new: while nobody answers well nobody
// is replaced, which is said once, and no more than one is within BackoffMax.
func (f *Fleet) compare() {
	var worst *Worker
	failing, long := 0, false
	for _, w := range f.workers {
		if w.State != Ready || w.failing.IsZero() || w.Recycle != "" {
			continue
		}
		failing++
		long = long || f.now.Sub(w.failing) >= outageAfter
		if f.othersDoWell(w) && (worst == nil || w.failing.Before(worst.failing)) {
			worst = w
		}
	}
	switch {
	case failing == 0:
		f.outage = false
	case worst == nil:
		if long && !f.outage {
			f.outage = true
			f.do(FoundOutage{failing})
		}
	case f.Stopping() || !f.failedAt.IsZero() && f.now.Sub(f.failedAt) < f.current.BackoffMax:
	default:
		f.failedAt = f.now
		worst.Recycle = ReasonFailures
		f.do(FoundFailing{worst.ID})
	}
}

// outageAfter is for how long others may answer well before it is said that none does.
const outageAfter = time.Second

// othersDoWell says whether another worker has answered a request well that began when this
// one failed already. What began before may have needed nothing of what is missing since.
func (f *Fleet) othersDoWell(w *Worker) bool {
	for _, other := range f.workers {
		if other != w && other.failing.IsZero() && other.succeeded.After(w.failing) {
			return true
		}
	}
	return false
}
