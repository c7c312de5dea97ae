package fleet

import (
	"fmt"
	"time"
)

// converge lets everything behave from now on, asks for a good revision and
// sees that the fleet becomes it, and nothing else, in bounded time.
func (w *world) converge() string {
	if w.fleet.Stopping() {
		return ""
	}
	w.calm = true
	for rev := range w.kinds {
		w.kinds[rev] = good
	}
	w.queue, w.hung = nil, map[int]hang{}
	for x := range w.fleet.Workers() { // those whose fate was in the queue
		if x.State != Ready {
			w.after(w.ms(1000), Exited{x.ID})
		}
	}
	w.soothe()
	asked := 0
	if w.r.IntN(2) == 0 {
		w.reload(good)
		asked = w.lastRev
	}
	for calm := w.now.Add(5 * time.Minute); w.now.Before(calm); {
		if broken := w.next(); broken != "" {
			return broken
		}
	}
	fresh := func(x *Worker) bool { return x.State == Ready && w.fleet.fresh(x) }
	converged := func() bool {
		return len(w.fleet.workers) == w.fleet.Target() && w.fleet.count(fresh) == w.fleet.Target()
	}
	// Some worker may just have reached its lifetime.
	for more := 300; more > 0 && !converged(); more-- {
		if broken := w.next(); broken != "" {
			return broken
		}
	}
	if w.oracle.halted {
		return ""
	}
	number, _ := w.fleet.Revision()
	switch {
	case w.fleet.Reloading():
		return "did not converge: still reloading"
	case !converged():
		return fmt.Sprintf("did not converge: %d fresh of %d workers, %d asked for", w.fleet.count(fresh), len(w.fleet.workers), w.fleet.Target())
	case asked != 0 && number != asked:
		return fmt.Sprintf("did not converge: revision %d, not %d", number, asked)
	case !w.weaned(number):
		return "did not converge: a loader that nobody needs"
	case w.overaged():
		return "lifetime ignored"
	}
	return ""
}

// weaned says whether no loader lives but that of the revision.
func (w *world) weaned(revision int) bool {
	for l := range w.fleet.Loaders() {
		if l.Revision != revision {
			return false
		}
	}
	return true
}

// overaged says whether a worker lives although its lifetime, the time for all
// others to be replaced before it, and some more are over.
func (w *world) overaged() bool {
	return w.fleet.count(func(x *Worker) bool {
		s := w.oracle.settings[x.Revision]
		return s.Lifetime > 0 && !x.ReadyAt.IsZero() && w.now.Sub(x.ReadyAt) > s.Lifetime+s.LifetimeJitter+time.Minute
	}) > 0
}
