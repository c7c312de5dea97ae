package fleet

import (
	"fmt"
	"slices"
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
	undead := 0 // one that SIGKILL does not end for as long as this takes
	w.heal()
	for x := range w.fleet.Workers() { // those whose fate was in the queue
		if x.State == Killed && undead == 0 && w.r.IntN(2) == 0 {
			undead = x.ID
		} else if x.State != Ready {
			w.after(w.ms(1000), Exited{x.ID})
		}
	}
	for _, one := range w.fleet.remains {
		if undead == 0 && w.r.IntN(2) == 0 {
			undead = one.ID
		} else {
			w.after(w.ms(1000), Cleared{one.ID})
		}
	}
	w.soothe()
	w.steady()
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
		want := w.fleet.Target() - w.starved(undead) + w.reserves(undead)
		return w.fleet.count(func(x *Worker) bool { return x.ID != undead }) == want && w.fleet.count(fresh) == want
	}
	// Some worker may just have reached its lifetime.
	for more := 300; more > 0 && !converged(); more-- {
		if broken := w.next(); broken != "" {
			return broken
		}
	}
	if w.oracle.halted || w.blocked(undead) {
		return ""
	}
	number, _ := w.fleet.Revision()
	switch {
	case w.fleet.Reloading():
		return "did not converge: still reloading"
	case !converged():
		return fmt.Sprintf("did not converge: %d fresh of %d workers, %d asked for and %d spares", w.fleet.count(fresh), len(w.fleet.workers), w.fleet.Target(), w.reserves(undead))
	case asked != 0 && number != asked:
		return fmt.Sprintf("did not converge: revision %d, not %d", number, asked)
	case !w.weaned(number):
		return "did not converge: a loader that nobody needs"
	case w.overaged():
		return "lifetime ignored"
	}
	return ""
}

// starved is how many workers there cannot be because that one keeps its lease.
func (w *world) starved(undead int) int {
	all := len(w.fleet.current.Leases)
	return max(w.fleet.Target()-all+w.kept(undead, w.fleet.current), 0) * min(all, 1)
}

// blocked says whether that one keeps what more than one worker would need, so that old
// workers with what is left may have no successor, nor those with nothing that a successor
// could have while others have the rest, or what a candidate needs.
func (w *world) blocked(undead int) bool {
	kept, c := w.kept(undead, w.fleet.current), w.fleet.candidate
	rest := slices.DeleteFunc(slices.Clone(w.fleet.current.Leases), w.lease(undead).clashes)
	without := func(x *Worker) bool { return x.State == Ready && !slices.ContainsFunc(rest, x.Lease.clashes) }
	free := func(l Lease) bool {
		return w.fleet.count(func(x *Worker) bool { return w.fleet.own(x) && x.Lease.clashes(l) }) == 0 &&
			!slices.ContainsFunc(w.fleet.remains, func(one *remains) bool { return one.Lease.clashes(l) })
	}
	return kept > 1 || kept > 0 && w.fleet.count(without) > 0 && !slices.ContainsFunc(rest, free) || c != nil && len(c.Leases) > 0 && w.kept(undead, c) == len(c.Leases)
}

// kept is how many leases of a revision nobody can have because of that one.
func (w *world) kept(undead int, r *revision) (n int) {
	for _, l := range r.Leases {
		if l.clashes(w.lease(undead)) {
			n++
		}
	}
	return n
}

// lease is that of a worker that may be gone.
func (w *world) lease(id int) Lease {
	if x, ok := w.fleet.Worker(id); ok {
		return x.Lease
	}
	return w.fleet.Holding(id)
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
		return s.Lifetime > 0 && x.State != Killed && !x.ReadyAt.IsZero() && w.now.Sub(x.ReadyAt) > s.Lifetime+s.LifetimeJitter+3*time.Minute
	}) > 0
}
