package fleet

import "time"

// condition compares what the brain says of itself with what was seen of it.
func (o *oracle) condition(f *Fleet, now time.Time) string {
	sum := f.Summary(now)
	served, loops := 0, map[int]bool{}
	for slot := range o.target {
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
	var want Condition
	switch {
	case o.closed || !o.stopAt.IsZero():
		want = ConditionStopping
	case len(o.reloads) > 0:
		want = ConditionReloading
	case len(sum.Looping) > 0:
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
