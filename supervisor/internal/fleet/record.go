package fleet

import "time"

// record turns an event into facts. What follows from them for the fleet is
// decided later in the step; here is only what a worker or a wish means by
// itself: that it is ready, stuck or gone, and what an exit is blamed on.
func (f *Fleet) record(ev Event) {
	switch ev := ev.(type) {
	case Exited:
		if w := f.worker(ev.ID); w != nil {
			f.bury(w)
		}
	case Cleared:
		f.cleared(ev.ID)
	case SpawnFailed:
		if w := f.worker(ev.ID); w != nil {
			f.bury(w)
		}
	case LoaderReady:
		if l := f.loader(ev.Revision); l != nil {
			f.loaderReady(l)
		}
	case LoaderExited:
		if l := f.loader(ev.Revision); l != nil {
			f.loaderExited(l)
		}
	case LoaderHung:
		if l := f.loader(ev.Revision); l != nil && l.State == LoaderServing {
			l.hung = true
		}
	case LoaderExtended:
		if l := f.loader(ev.Revision); l != nil && l.State == LoaderStarting {
			if due := f.now.Add(ev.By); due.After(l.due) {
				l.due = due
			}
		}
	case Hopeless:
		if r := f.revision(ev.Revision); r != nil {
			r.StartupAttempts = 1
		}
	case Executed:
		if w := f.worker(ev.ID); w != nil && w.State == Starting && w.aliveAt.IsZero() && !w.reserve {
			r := f.of(w)
			if r.Ready == ReadyAlive || r.Ready == ReadyAuto && !r.cooperates && !w.cooperates {
				w.aliveAt = f.now.Add(max(r.ReadyAfter, 1))
			}
		}
	case SaidReady:
		if w := f.worker(ev.ID); w != nil {
			f.saidReady(w, ev.Holds)
		}
	case Waits:
		if w := f.worker(ev.ID); w != nil && w.State == Starting {
			w.waits = true
		}
	case Cooperates:
		if w := f.worker(ev.ID); w != nil && !w.cooperates {
			f.cooperates(w)
		}
	case SaidStopping:
		if w := f.worker(ev.ID); w != nil && w.serving() {
			w.left = true
			if s := f.slot(w); s != nil {
				s.why = ReasonLeft
			}
			w.is(Draining, f.now.Add(f.current.DrainTimeout))
		}
	case SaidFailed:
		if w := f.worker(ev.ID); w != nil && w.serving() {
			f.blame(w, f.verdict(w))
			w.is(Draining, f.now.Add(f.current.DrainTimeout))
			w.Until = w.due
			f.do(FoundFailed{w.ID, w.due})
		}
	case Recycle:
		if w := f.worker(ev.ID); w != nil && w.serving() && (w.Recycle == "" || w.mayLinger() && ev.Reason == ReasonRecycle) {
			w.Recycle = ev.Reason
		}
	case Wish:
		if w := f.worker(ev.ID); w != nil && w.wish == "" {
			w.wish = ev.Reason
		}
	case Looked:
		for _, sight := range ev.Sights {
			if w := f.worker(sight.ID); w != nil && (w.State == Ready || w.State == Draining) {
				f.see(w, sight)
			}
		}
		f.compare()
	case Oversized:
		if w := f.worker(ev.ID); w != nil {
			w.oversized = true
		}
	case Extend:
		if w := f.worker(ev.ID); w != nil && (w.State == Starting || w.State == Ready && w.guessed) {
			if due := f.now.Add(ev.By); due.After(w.due) {
				w.due = due
			}
		}
	case Demand:
		f.meet(ev)
	case Memory:
		f.weighed(ev.Room)
	case ScaleBy:
		f.scale(ev.N)
	case Recount:
		f.recount(ev.Workers)
	case Reload:
		f.reload(ev)
	case Stop:
		f.stop(ev.Quick)
	}
}

// of returns the revision of a worker: the candidate, the fallback, or else
// the one in force.
func (f *Fleet) of(w *Worker) *revision {
	for _, r := range []*revision{f.candidate, f.fallback} {
		if r != nil && r.number == w.Revision {
			return r
		}
	}
	return f.current
}

// see notes what a look saw of a worker: that it has to go soon, or no longer
// so. One that drains already gets no more time than its innocent requests may
// need. When the loop was late just now the worker may not have had the time to
// do better; so the looks of [Lateness] have to agree before it is believed, and
// then it is, however often the loop is late.
func (f *Fleet) see(w *Worker, sight Sight) {
	w.failing, w.succeeded = sight.Failing, sight.Succeeded
	w.linger.count(f.now, sight.Streams)
	why := sight.stuck()
	if why == "" {
		w.seenStuck = time.Time{}
		if w.Stuck {
			w.Stuck, w.Innocents = false, 0
			f.do(Recovered{w.ID})
		}
		f.pace(w)
		return
	}
	if w.seenStuck.IsZero() {
		w.seenStuck = f.now
	}
	if f.now.Sub(f.lateAt) < Lateness && f.now.Sub(w.seenStuck) < Lateness {
		return
	}
	if !w.Stuck {
		f.do(FoundStuck{w.ID, why, sight.Innocents})
	}
	if w.State == Draining && w.due.Sub(f.now) < CutMargin {
		sight.Innocents = max(sight.Innocents, w.Innocents) // it cuts them about now
	}
	w.Stuck, w.Innocents, w.Recycle = true, sight.Innocents, why
	if w.State == Draining {
		w.bound = sooner(w.bound, f.now.Add(f.grace(w)))
		f.pace(w)
	}
}

// pace has a drain end as what was seen of the worker demands: soon if it is stuck and
// no innocent request is left, and later again if one has come since.
func (f *Fleet) pace(w *Worker) {
	if w.State == Draining && !f.late {
		f.move(w, f.drained(w))
	}
}

// scale changes the number of workers asked for, or of those that there are at least.
func (f *Fleet) scale(by int) {
	r := f.current
	if n := f.Bounded(r.floor + by); !f.Stopping() && n != r.floor {
		r.scale = n - r.Workers
		f.refloor()
	}
}

// recount has so many workers be configured.
func (f *Fleet) recount(workers int) {
	if r := f.current; !f.Stopping() && min(workers, r.Workers) > 0 {
		r.Workers = workers
		f.refloor()
	}
}

// refloor asks for as many workers as are configured, and an operator scaled to.
func (f *Fleet) refloor() {
	r := f.current
	n := r.scaled(r.scale)
	if n == r.floor {
		return
	}
	f.touch(r.floor)
	r.floor = n
	if r.elastic() {
		f.resize(max(r.target, r.floor))
	} else {
		f.resize(r.floor)
	}
}
