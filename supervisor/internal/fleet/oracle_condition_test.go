package fleet

import "time"

// condition compares what the brain says of itself with what was seen of it.
func (o *oracle) condition(f *Fleet, now time.Time) string {
	sum := f.Summary(now)
	served, loops := 0, map[int]bool{}
	for slot := range o.slots() {
		if o.servers(slot, 0) > 0 {
			served++
		}
		if c := o.crashes[[2]int{slot, o.current}]; c != nil && c.n >= 2 && !o.closed && o.stopAt.IsZero() && !o.forgiven(slot) {
			loops[slot] = true
		}
	}
	if sum.Ready != served || sum.Target != o.target {
		return "other workers said to be ready than are"
	}
	for _, slot := range sum.Looping {
		if !loops[slot] {
			return "crash loop where there is none"
		}
		delete(loops, slot)
	}
	if len(loops) > 0 {
		return "crash loop kept quiet"
	}
	if broken := o.loadsTold(sum); broken != "" {
		return broken
	}
	var want Condition
	switch {
	case o.closed || !o.stopAt.IsZero():
		want = ConditionStopping
	case len(o.reloads) > 0:
		want = ConditionReloading
	case len(sum.Looping) > 0 || sum.Loads >= 2:
		want = ConditionCrashLoop
	case served == o.target:
		want = ConditionReady
	case !o.up:
		want = ConditionStarting
	case sum.Condition == ConditionStarting && o.scaled:
		want = ConditionStarting // a slot that is new
	default:
		want = ConditionDegraded
	}
	if sum.Condition != want {
		return "a " + string(want) + " fleet called " + string(sum.Condition)
	}
	return ""
}

// loadsTold compares what is said of the loaders of the revision in force. Where nobody is
// there at all one of them is waited for, unless the slots wait themselves, or a candidate
// is the next to get a worker.
func (o *oracle) loadsTold(sum Summary) string {
	t, waits := o.triesOf(o.current), o.preloaded(o.current) && !o.forks(o.current)
	failing := waits && (t.failures > 0 || t.crashes >= 2)
	awaited := waits && o.target > 0 && o.serving() && len(o.alive) == 0 && len(o.reloads) == 0 && !o.closed && o.stopAt.IsZero()
	for slot := range o.slots() {
		awaited = awaited && o.crashes[[2]int{slot, o.current}] == nil
	}
	switch {
	case sum.Loads > 0 && !failing, sum.Unloaded && !waits:
		return "loaders said to fail that do not"
	case awaited && (!sum.Unloaded || failing && sum.Loads != max(t.failures, t.crashes)):
		return "failing loaders kept quiet"
	case !sum.NextLoad.IsZero() && o.nurses[o.current] != nil:
		return "loader said to come that is there"
	}
	return ""
}

// forgiven says whether a crash loop is over although crashes are never forgiven:
// a worker of the slot is ready.
func (o *oracle) forgiven(slot int) bool {
	for _, w := range o.alive {
		if w.Slot == slot && w.ready && !w.told && !w.killed && w.Revision == o.current {
			return o.settings[o.current].ResetAfter == 0
		}
	}
	return false
}
