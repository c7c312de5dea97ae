package fleet

import "time"

// cradle is what the world knows of the loader of a revision.
type cradle struct {
	kind kind // how its loaders behave: a flaky one fails half of the time, to start, to stay, to fork or to answer
	nth  int  // of those that were started
	live bool // that one is alive
}

// cradleFor draws how the loaders of a revision behave.
func (w *world) cradleFor() *cradle { return &cradle{kind: w.pick(8, 1, 1, 1, 3)} }

// afterLoad schedules an event of the loader of a revision that lives now. It is none of
// the loader that comes after it.
func (w *world) afterLoad(d time.Duration, revision int, ev Event) {
	w.push(entry{at: w.now.Add(d), ev: ev, of: revision, nth: w.cradles[revision].nth})
}

// stale says whether what was scheduled is about a loader that is gone.
func (w *world) stale(e entry) bool {
	c := w.cradles[e.of]
	return c != nil && (!c.live || c.nth != e.nth)
}

// bear is what a loader makes of its start.
func (w *world) bear(a Load) {
	c := w.cradles[a.Revision]
	c.nth++
	c.live = true
	boot := w.ms(900)
	kind := c.kind
	if kind == flaky && w.r.IntN(2) == 0 {
		kind = broken
	}
	switch kind {
	case broken:
		end := w.ms(400)
		if !w.calm && w.r.IntN(3) == 0 {
			w.afterLoad(end, a.Revision, Hopeless{a.Revision})
		}
		w.afterLoad(end, a.Revision, LoaderExited{a.Revision})
		return
	case hanging:
		return
	case crashing:
		w.afterLoad(boot+w.ms(6000), a.Revision, LoaderExited{a.Revision})
	case flaky:
		if w.r.IntN(2) == 0 { // before it can be of use, often
			w.afterLoad(boot+w.ms(600), a.Revision, LoaderExited{a.Revision})
		}
	}
	if w.calm {
		boot = w.ms(300)
	} else if w.r.IntN(8) == 0 {
		boot += w.ms(9000)
		w.afterLoad(w.ms(400), a.Revision, LoaderExtended{a.Revision, w.ms(9000)})
	}
	w.afterLoad(boot, a.Revision, LoaderReady{a.Revision})
}

// fork is what comes of a spawn that a loader is asked for.
func (w *world) fork(x Worker) {
	c := w.cradles[x.Revision]
	flawed := !w.calm && (c.kind == flaky || c.kind == hanging) && w.r.IntN(2) == 0
	switch n := w.r.IntN(4); {
	case flawed && n == 0: // nothing is heard of it, until it is taken for hung
		w.afterLoad(w.ms(9000), x.Revision, LoaderHung{x.Revision})
		w.after(w.ms(9000), SpawnFailed{x.ID})
	case flawed && n == 1: // it dies of it
		w.afterLoad(w.ms(300), x.Revision, LoaderExited{x.Revision})
		w.after(w.ms(600), SpawnFailed{x.ID})
	case flawed:
		w.after(w.ms(300), SpawnFailed{x.ID})
	default:
		w.live(x)
	}
}

// leave has a loader end that was told to, and perhaps does not hear it.
func (w *world) leave(revision int) {
	switch n := w.r.IntN(10); {
	case w.calm || n < 6:
		w.afterLoad(w.ms(800), revision, LoaderExited{revision})
	case n < 8:
		w.afterLoad(w.ms(8000), revision, LoaderExited{revision})
	}
}

// molest does something to a loader that lives.
func (w *world) molest() {
	for l := range w.fleet.Loaders() {
		switch w.r.IntN(4) {
		case 0, 1:
			w.afterLoad(0, l.Revision, LoaderExited{l.Revision})
		case 2:
			w.afterLoad(0, l.Revision, LoaderHung{l.Revision})
		case 3:
			w.afterLoad(0, l.Revision, LoaderExtended{l.Revision, w.ms(9000)})
		}
	}
}

// soothe has all loaders behave from now on. Those whose fate was in the queue end.
func (w *world) soothe() {
	for _, c := range w.cradles {
		c.kind = good
	}
	for l := range w.fleet.Loaders() {
		if l.State != LoaderServing {
			w.afterLoad(w.ms(1000), l.Revision, LoaderExited{l.Revision})
		}
	}
}
