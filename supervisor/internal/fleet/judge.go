package fleet

import (
	"slices"
	"time"
)

// escalate does to every worker whose time is over what comes next for it.
func (f *Fleet) escalate() {
	for _, w := range f.workers {
		if w.oversized && !w.killed {
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
			if w.cooperates {
				f.prove(w)
			}
		}
		if !w.expires.IsZero() && !w.expires.After(f.now) {
			f.grownOld(w)
		}
		if w.due.IsZero() || w.due.After(f.now) {
			continue
		}
		switch w.State {
		case Starting:
			w.failed = true
			f.abort(w, ReasonStartup)
		case Ready:
			w.due = time.Time{}
			f.prove(w)
			f.do(Plain{w.ID})
		case Draining:
			f.expire(w)
		case Stopping:
			if !w.killed {
				f.kill(w, ReasonGrace)
			}
			w.due = time.Time{}
		}
	}
}

// postpone gives everything that is overdue another moment: the loop itself
// did not run, and the news that would have saved a worker may still be
// waiting in a queue.
func (f *Fleet) postpone() {
	later := func(t *time.Time) {
		if !t.IsZero() && !t.After(f.now) {
			*t = f.now.Add(Lateness)
		}
	}
	for _, w := range f.workers {
		later(&w.due)
		later(&w.aliveAt)
		later(&w.expires)
	}
	later(&f.stopAt)
	later(&f.stopBy)
}

// grownOld orders a replacement for a worker that still serves.
func (f *Fleet) grownOld(w *Worker) {
	w.expires = time.Time{}
	if w.State == Ready && w.Recycle == "" {
		w.Recycle = ReasonLifetime
	}
}

// AsksForStacks reports whether a worker whose time to drain is over gets the abort
// signal before it is killed, as things are.
func (f *Fleet) AsksForStacks(w *Worker) bool { return w.Stuck && !f.quick }

// expire ends a worker whose time to drain is over. Who is in a hurry does not wait
// for stacks.
func (f *Fleet) expire(w *Worker) {
	if f.AsksForStacks(w) {
		f.abort(w, w.Recycle)
	} else {
		f.kill(w, ReasonGrace)
	}
}

// abort asks a worker that hangs for its stacks before it is killed.
func (f *Fleet) abort(w *Worker, why Reason) {
	w.State = Stopping
	w.aliveAt = time.Time{}
	w.due = f.now.Add(AbortGrace)
	f.do(Abort{w.ID, why})
}

// kill ends a worker whose grace is over, or that may not live a moment longer.
func (f *Fleet) kill(w *Worker, why Reason) {
	aborted := w.State == Stopping
	w.killed = true
	w.State = Stopping
	w.due, w.aliveAt = time.Time{}, time.Time{}
	if (w.failed || w.oversized) && !w.told && !w.blamed {
		f.blame(w, f.verdict(w))
	}
	f.do(Kill{w.ID, why, aborted})
}

// judge decides about the revisions: accept the candidate, roll back, give up.
func (f *Fleet) judge() {
	if f.stopping {
		return
	}
	if f.fallback != nil {
		if culprit := f.fails(); culprit != 0 {
			f.rollBack(culprit)
		}
	}
	if f.candidate != nil && f.candidate.canary != 0 {
		f.judgeCanary()
	}
	if f.everReady || f.fallback != nil || f.candidate != nil {
		return
	}
	if f.count(func(w *Worker) bool { return !w.ReadyAt.IsZero() }) > 0 {
		return // until it is gone, for it is told to go only later in a step
	}
	for _, s := range f.slots {
		if s.failures >= f.current.StartupAttempts {
			f.gaveUp = s.culprit
			f.stop(true)
			return
		}
	}
}

// fails returns the id of the last worker of a row that is long enough to give
// the revision up: boots that failed, or crashes soon after ready, of whichever
// slots or of one alone, for which a rollout would wait. 0: there is none.
func (f *Fleet) fails() (culprit int) {
	r := f.current
	if r.failures >= r.StartupAttempts || r.crashes >= r.StartupAttempts {
		return r.culprit
	}
	for _, s := range f.slots {
		if s.failures >= r.StartupAttempts || s.early >= r.StartupAttempts {
			return s.culprit
		}
	}
	return 0
}

// judgeCanary accepts the candidate if its canary is ready and drops it if the
// canary is gone, or as good as gone. A canary whose slot was scaled away is no evidence: another
// one will be spawned.
func (f *Fleet) judgeCanary() {
	c := f.candidate
	w := f.worker(c.canary)
	switch {
	case w == nil || w.killed:
		f.candidate = nil
		f.end(c, RolledBack, c.canary)
	case w.Slot >= f.current.target && w.State == Starting:
		c.canary = 0
	case w.State == Ready:
		f.accept(c)
	}
}

// accept puts the candidate into force. The number of workers an operator
// scaled to is kept unless the configured number changed. The fallback stays
// the last revision that was rolled out whole.
func (f *Fleet) accept(c *revision) {
	f.candidate = nil
	if f.fallback == nil {
		f.fallback = f.current
	} else {
		f.end(f.current, Superseded, 0)
	}
	if f.count(func(w *Worker) bool { return w.State == Ready && w.Revision != c.number }) > 0 {
		f.everReady = true // whoever goes for the reload served until then
	}
	c.target = f.TargetWith(c.Workers)
	f.generations++
	c.generation = f.generations
	f.current = c
	f.do(Apply{c.number, c.generation, ReasonReload})
	f.resetSlots(ReasonReload)
}

// rollBack gives the current revision up for the fallback.
func (f *Fleet) rollBack(culprit int) {
	failed := f.current
	if f.fallback.Workers == failed.Workers {
		f.fallback.target = failed.target
	}
	f.current, f.fallback = f.fallback, nil
	f.current.failures, f.current.crashes = 0, 0
	f.do(Apply{f.current.number, f.current.generation, ReasonRollback})
	f.end(failed, RolledBack, culprit)
	f.resetSlots(ReasonRollback)
}

// end reports how the reload to a revision ended.
func (f *Fleet) end(r *revision, result Result, culprit int) {
	f.do(EndReload{r.number, result, culprit})
}

// conclude notices what is complete: the first start, a rollout, a stop.
func (f *Fleet) conclude() {
	if f.Stopping() {
		if f.stopping && (len(f.workers) == 0 || f.abandoned()) {
			f.halted = true
			f.do(Halt{f.gaveUp})
		}
		return
	}
	for i := range f.slots {
		if !slices.ContainsFunc(f.teams[i], func(w *Worker) bool { return w.State == Ready && f.own(w) }) {
			return
		}
	}
	if !f.up {
		f.up = true
		f.do(Up{})
	}
	if f.fallback != nil && f.candidate == nil {
		f.fallback = nil
		f.end(f.current, Done, 0)
	}
}

// abandoned says whether nothing is left but processes that SIGKILL did not
// end in time (they hang in the kernel, and die when it lets go of them).
func (f *Fleet) abandoned() bool {
	return f.now.Sub(f.stopBy) >= KillGrace && f.count(func(w *Worker) bool { return !w.killed }) == 0
}
