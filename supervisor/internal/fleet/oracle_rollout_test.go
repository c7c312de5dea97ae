package fleet

import "time"

// row is what befell workers one after the other with no success between them: a
// boot that succeeds is one among boots, a worker that stays one among crashes.
type row struct{ boots, crashes int }

func (r *row) count(w *life, stayed, stillborn bool) {
	switch {
	case !w.ready || stillborn:
		r.boots++
	case !stayed && !w.left:
		r.crashes++
	}
}

// leaves notes that a worker drains on its own account.
func (o *oracle) leaves(now time.Time, w *life) {
	w.told, o.prev[w.ID] = true, true
	w.until = now.Add(o.settings[o.current].DrainTimeout)
	w.bound = w.until
}

// hearFailed notes that a worker says that it has failed; nil: nobody does.
func (o *oracle) hearFailed(now time.Time, w *life) {
	if w != nil && !w.told && !w.exited && w.aborted.IsZero() && !w.killed {
		w.saidFailed = true
		o.leaves(now, w)
	}
}

// foundFailed counts a worker that says that it has failed as a crash, from then on.
func (o *oracle) foundFailed(now time.Time, a FoundFailed) string {
	w := o.alive[a.ID]
	if w == nil || !w.saidFailed || !w.ended.IsZero() {
		return "acted on the dead"
	}
	if !a.Until.Equal(now.Add(o.settings[o.current].DrainTimeout)) {
		return "grace too long"
	}
	o.count(now, w)
	return ""
}

func (r *row) reaches(n int) bool { return r.boots >= n || r.crashes >= n }

// fails says whether a rollout has to end.
func (o *oracle) fails() bool {
	n := o.settings[o.current].StartupAttempts
	if o.unloadable(o.current) {
		return true
	}
	for _, r := range o.rows {
		if r.reaches(n) {
			return true
		}
	}
	return o.all.reaches(n)
}

// unbootable says whether as many boots of one slot have failed in a row as may.
func (o *oracle) unbootable() bool {
	for slot, r := range o.rows {
		if o.fills(slot) && r.boots >= o.settings[o.current].StartupAttempts {
			return true
		}
	}
	return false
}

// stayed says whether the worker was ready for long enough by then.
func (o *oracle) stayed(w *life, by time.Time) bool {
	long := o.settings[w.Revision].ResetAfter
	return w.ready && long > 0 && by.Sub(w.readyAt) >= long && by.Sub(w.takenAt) >= long
}

// credit ends the rows of crashes that workers have broken since the last step.
func (o *oracle) credit(now time.Time) {
	for _, w := range o.alive {
		if w.Revision != o.current || w.told || w.killed || !w.aborted.IsZero() || !o.stayed(w, now) || o.stayed(w, o.stepped) {
			continue
		}
		if w.Slot != NoSlot {
			o.all.crashes = 0
		}
		if w.guess {
			o.started(w.Slot)
			o.bore(w.Revision)
		}
		if r := o.rows[w.Slot]; r != nil {
			r.crashes = 0
		}
		if c := o.crashes[[2]int{w.Slot, w.Revision}]; c != nil {
			c.n = 0
		}
	}
	o.stepped = now
}

// pioneers says whether a slot may be tried before anything was ready: no boot failed
// there, or no more failed elsewhere.
func (o *oracle) pioneers(slot int) bool {
	its := o.rows[slot]
	if its == nil || its.boots == 0 {
		return true
	}
	trying := map[int]bool{}
	for _, w := range o.alive {
		trying[w.Slot] = trying[w.Slot] || w.booting() && w.Slot != slot && w.Revision == o.current
	}
	for other, r := range o.rows {
		if r.boots > its.boots || r.boots == its.boots && (other < slot || trying[other]) {
			return false
		}
	}
	return true
}

func (o *oracle) applied(now time.Time, a Apply) string {
	ready := false
	for _, w := range o.alive {
		ready = ready || w.ready && w.Revision == a.Revision
		if a.Reason == ReasonReload && w.Revision != a.Revision && w.ready && !w.told && !w.killed && w.aborted.IsZero() {
			o.ever = true // it served until a reload took its place
		}
	}
	if a.Reason == ReasonReload && !ready {
		return "accepted without a ready worker"
	}
	if a.Reason == ReasonRollback && !o.fails() {
		return "rolled back without need"
	}
	o.resettle(now, a)
	o.forgetLeases()
	for _, w := range o.alive {
		if w.ready && w.Revision == a.Revision && a.Reason == ReasonReload {
			o.keepLease(w)
		}
	}
	if a.Reason == ReasonRollback {
		o.fallback = 0
		o.triesOf(a.Revision).failures = 0
	} else {
		if !o.rollout {
			o.fallback = o.current
		}
		o.candidate = 0
	}
	o.rollout = a.Reason == ReasonReload
	o.current, o.all, o.rows = a.Revision, row{}, map[int]*row{}
	o.crashes = map[[2]int]*crashes{}
	return ""
}
