package fleet

// reload makes a revision the candidate; one that is being tried is forgotten.
func (f *Fleet) reload(ev Reload) {
	if f.Stopping() {
		f.do(EndReload{Revision: ev.Revision, Result: Superseded})
		return
	}
	f.supersede()
	f.candidate = &revision{Settings: ev.Settings, number: ev.Revision, canarySlot: -1}
	if f.current.target == 0 { // somebody has to try it
		f.resize(1)
		f.candidate.canarySlot, f.candidate.alone = f.firstOpen(), true
	}
	for _, r := range []*revision{f.current, f.fallback} {
		if r != nil && r.Command == ev.Settings.Command {
			f.candidate.cooperates = f.candidate.cooperates || r.cooperates
			f.candidate.holds = f.candidate.holds || r.holds
		}
	}
}

// supersede ends the trial under way, if there is one.
func (f *Fleet) supersede() {
	if f.candidate != nil {
		f.endReload(f.candidate, Superseded, 0)
		f.candidate = nil
	}
}

// judge decides about the revisions: accept the candidate, roll back, give up.
func (f *Fleet) judge() {
	if f.stopping {
		return
	}
	if f.fallback != nil {
		if culprit := f.fails(); culprit != 0 || f.unloadable(f.current, f.current.StartupAttempts) {
			f.rollBack(culprit)
		}
	}
	if f.candidate != nil && f.candidate.canary != 0 {
		f.judgeCanary()
	}
	if c := f.candidate; c != nil && f.unloadable(c, 1) {
		f.candidate = nil
		f.endReload(c, RolledBack, 0)
	}
	if f.everReady || f.fallback != nil || f.candidate != nil || f.Stopping() {
		return // what is to stop when its delay is over does, whatever becomes of it
	}
	if f.count(func(w *Worker) bool { return !w.ReadyAt.IsZero() }) > 0 {
		return // until it is gone, for it is told to go only later in a step
	}
	// The loaders first, since whoever was to come of them has failed with them.
	if f.unloadable(f.current, f.current.StartupAttempts) {
		f.gaveUpLoading = true
		f.stop(true)
		return
	}
	for _, s := range f.open() {
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
	for _, s := range f.open() {
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
	case w == nil || w.State == Killed:
		f.candidate = nil
		f.endReload(c, RolledBack, c.canary)
	case !f.fills(w.Slot) && w.State == Starting:
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
		f.endReload(f.current, Superseded, 0)
	}
	if f.count(func(w *Worker) bool { return w.State == Ready && w.Revision != c.number }) > 0 {
		f.everReady = true // whoever goes for the reload served until then
	}
	c.scale, c.floor = f.scaleWith(c.Settings), f.FloorWith(c.Settings)
	c.target = c.fit(f.current.target)
	f.keep(f.worker(c.canary))
	f.generations++
	c.generation = f.generations
	f.touch(f.current.floor)
	from := f.current.target
	f.current = c
	f.grew(from)
	f.do(Apply{c.number, c.generation, ReasonReload})
	f.resetSlots(ReasonReload)
}

// rollBack gives the current revision up for the fallback.
func (f *Fleet) rollBack(culprit int) {
	f.touch(f.current.floor)
	failed := f.current
	if f.fallback.Workers == failed.Workers {
		f.fallback.scale, f.fallback.floor = failed.scale, f.fallback.scaled(failed.scale)
	}
	f.fallback.target = f.fallback.fit(failed.target)
	f.current, f.fallback = f.fallback, nil
	f.grew(failed.target)
	f.current.failures, f.current.crashes, f.current.loads.failures = 0, 0, 0
	f.do(Apply{f.current.number, f.current.generation, ReasonRollback})
	f.endReload(failed, RolledBack, culprit)
	f.resetSlots(ReasonRollback)
}

// endReload reports how the reload to a revision ended. One that is rolled back, and of
// which no worker is the culprit, failed because of its loader.
func (f *Fleet) endReload(r *revision, result Result, culprit int) {
	f.do(EndReload{r.number, result, culprit, result == RolledBack && culprit == 0})
	if r != f.current && r.alone && f.sizing.need == 0 && f.current.target == 1 && f.current.floor == 0 {
		f.resize(0) // where nobody was before, nobody has to come instead
	}
}
