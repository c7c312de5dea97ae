package fleet

import (
	"math"
	"slices"
	"time"
)

// A recycled worker is in no hurry: while requests of it last it stays beside its successor
// for a while, which serves already, and is told to drain when it has none of them, or few. So
// fewer streams are cut, or outlive the time to drain. Where slots have listeners of their own
// it is told at once: what comes there, as of sessions in memory, is for one worker at a time.

// LingerFor is how long a recycled worker stays beside its ready successor at most.
const LingerFor = 15 * time.Second

// linger is what is known of a worker that stays beside its successor.
type linger struct {
	since   time.Time `state:"since"`   // zero: it does not
	looked  time.Time `state:"looked"`  // the last look since then; zero: there was none
	streams int       `state:"streams"` // how many of its requests lasted at that look
	fewest  int       `state:"fewest"`  // at any look in the first half of the time
}

// Lingers says whether the worker stays beside its successor until it has few streams.
func (w *Worker) Lingers() bool { return w.State == Ready && !w.linger.since.IsZero() }

// mayLinger says whether the worker is replaced for a reason that does not matter now. What an
// operator asks for does, and so does a fault.
func (w *Worker) mayLinger() bool {
	switch w.Recycle {
	case "", ReasonRecycle, ReasonFailures:
		return false
	}
	return w.cooperates && !w.Stuck && w.failing.IsZero()
}

// unhurried says whether nothing is under way that workers who linger would keep waiting.
func (f *Fleet) unhurried() bool {
	return !f.Stopping() && !f.Reloading() && !slices.ContainsFunc(f.workers, func(w *Worker) bool { return w.serving() && w.Stuck })
}

// lingers says whether a worker stays beside its successor, which is ready, for now: as long as
// requests of it last, and in the second half of the time at most until it has no more of them
// than ever in the first.
func (f *Fleet) lingers(w *Worker) bool {
	if f.hurry || f.current.Private || !f.own(w) || !w.mayLinger() {
		return false
	}
	l := &w.linger
	if l.since.IsZero() {
		*l = linger{since: f.now, fewest: math.MaxInt32}
	}
	switch age := f.now.Sub(l.since); {
	case age >= LingerFor:
		return false
	case l.looked.IsZero():
		return true
	case age < LingerFor/2:
		return l.streams > 0
	}
	return l.streams > l.fewest
}

// settleDown has those linger no more whose successor is gone: they serve until another one is
// ready.
func (f *Fleet) settleDown() {
	for _, w := range f.workers {
		if w.Lingers() {
			if _, ready := f.in(w.Slot); f.keeper(ready) == w {
				w.linger = linger{}
			}
		}
	}
}

// count notes how many requests of a worker that lingers last.
func (l *linger) count(now time.Time, streams int) {
	if l.since.IsZero() {
		return
	}
	l.looked, l.streams = now, streams
	if now.Sub(l.since) < LingerFor/2 {
		l.fewest = min(l.fewest, streams)
	}
}

// backlog is recyclings that have to wait for drains.
type backlog struct {
	since time.Time `state:"since"` // zero: none has to
	said  bool      `state:"said"`
}

// complain says, once, that drains take all that there may be beyond the target, and a worker
// that is to be replaced has waited for them for long.
func (f *Fleet) complain(r *room) {
	draining := f.count(func(w *Worker) bool { return w.State == Draining && !w.Spare() })
	waits := f.unclaimed(r) <= 0 && draining >= max(f.surge(), 1)
	first := slices.IndexFunc(f.workers, func(w *Worker) bool {
		return w.State == Ready && !w.Spare() && f.own(w) && w.Recycle != "" && f.stale(w.Slot) == w
	})
	c := &f.backlog
	switch {
	case !waits || first < 0:
		*c = backlog{}
	case c.since.IsZero():
		c.since = f.now
	case !c.said && f.now.Sub(c.since) >= LingerFor:
		c.said = true
		f.do(Crowded{f.workers[first].ID, draining})
	}
}
