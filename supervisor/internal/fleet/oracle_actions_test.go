package fleet

import (
	"cmp"
	"slices"
	"time"
)

// action checks one action against the laws and enters it in the books.
func (o *oracle) action(now time.Time, events []Event, a Action, late bool) string {
	if o.halted {
		return "acted after halt"
	}
	stopped := slices.Contains(events, Event(Stop{})) || slices.Contains(events, Event(Stop{Quick: true}))
	quick := slices.Contains(events, Event(Stop{Quick: true}))
	switch a := a.(type) {
	case Announce, Withdraw, Spareless, FoundStuck, Recovered, FoundFailing, FoundOutage, FoundFailed:
	case Bury:
		o.believe(max(slices.Index(events, Event(Exited{a.Worker.ID})), slices.Index(events, Event(SpawnFailed{a.Worker.ID}))))
	default: // what events have left behind
		o.believe(len(events))
	}
	switch a := a.(type) {
	case Spawn:
		if !o.serving() {
			return "spawn while stopping"
		}
		return o.spawned(now, a)
	case Weigh:
		return o.weighed(now)
	case Activate:
		return o.activated(now, a)
	case Load:
		return o.loaded(now, a)
	case Unload:
		return o.unloaded(now, a)
	case AbortLoader:
		return o.loaderAborted(now, a, late)
	case KillLoader:
		return o.loaderKilled(now, a, late)
	case Announce:
		w := o.alive[a.ID]
		if w == nil || w.told && !slices.Contains(events, Event(SaidStopping(a))) && !slices.Contains(events, Event(SaidFailed(a))) || w.ready {
			return "acted on the dead"
		}
		if late && !saidSo(events, a.ID) {
			return "late loop believed"
		}
		if w.Revision == o.current && w.Slot != NoSlot {
			o.keepLease(w)
		}
		if broken := o.announced(now, w); broken != "" {
			return broken
		}
	case FoundStuck:
		w := o.alive[a.ID]
		if w == nil || w.found {
			return "acted on the dead"
		}
		if !w.stuck {
			return "late loop punished"
		}
		w.found = true
	case Recovered:
		w := o.alive[a.ID]
		if w == nil || !w.found {
			return "acted on the dead"
		}
		w.found = false
	case FoundFailing:
		w := o.alive[a.ID]
		if w == nil || w.killed || !w.ready {
			return "acted on the dead"
		}
		w.recycling = true
	case Withdraw:
		w := o.alive[a.ID]
		if w == nil || w.told || !w.ready || !w.header || w.word && !saidSo(events, a.ID) {
			return "acted on the dead"
		}
		w.ready, w.readyAt = false, time.Time{}
	case Plain:
		w := o.alive[a.ID]
		if w == nil || w.told || !w.ready || w.header || w.startBy.After(now.Add(Lateness)) { // a late step gives more time to who is ready already
			return "taken for a plain worker too early"
		}
		if w.guess {
			o.proved(w)
			o.bore(w.Revision)
		}
	case Retire:
		return cmp.Or(o.abroad(a), o.hasty(now, a.ID), o.retired(now, a, stopped))
	case Hasten:
		w := o.alive[a.ID]
		if w == nil || !w.told {
			return "acted on the dead"
		}
		if a.Until.After(w.until) {
			return "grace prolonged"
		}
		if a.Until.Before(now) {
			return "grace ended in the past"
		}
		w.until = a.Until
	case Prolong:
		w := o.alive[a.ID]
		if w == nil || !w.told || w.killed || !w.aborted.IsZero() {
			return "acted on the dead"
		}
		if !a.Until.Equal(w.until) {
			return "grace prolonged"
		}
	case Abort:
		w := o.alive[a.ID]
		if w == nil || w.killed || w.told && !w.stuck || !w.aborted.IsZero() {
			return "acted on the dead"
		}
		if late && (!w.told || o.prev[a.ID]) {
			return "late loop punished"
		}
		if !w.told && w.startBy.After(now) || w.told && w.until.After(now) {
			return "aborted early"
		}
		w.aborted = now
	case Kill:
		w := o.alive[a.ID]
		if w == nil || w.killed {
			return "acted on the dead"
		}
		if !w.told && w.aborted.IsZero() && !w.oversized {
			return "killed without need"
		}
		none := o.settings[o.current].GracefulTimeout == 0
		if late && o.prev[a.ID] && !w.oversized && !(stopped && (quick || none)) && !(none && w.until.Equal(now)) { // hastened just now: what was up is postponed
			return "late loop punished"
		}
		if w.told && w.until.After(now) && !w.oversized {
			return "killed before its grace was over"
		}
		if w.stuck && w.told && !o.quick && a.Reason == ReasonGrace {
			if w.aborted.IsZero() {
				return "killed without being asked for stacks"
			}
			if w.until.Add(AbortGrace).After(now) { // if it was asked later, the time was lost elsewhere
				return "killed before its stacks were printed"
			}
		}
		w.killed, w.killedAt = true, now
		if !w.aborted.IsZero() && !w.told || w.oversized && (!w.told || w.left) {
			o.count(now, w)
		}
	case FoundFailed:
		return o.foundFailed(now, a)
	case Unkillable:
		return o.unkillable(now, a.ID)
	case Bury:
		by := max(slices.Index(events, Event(Exited{a.Worker.ID})), slices.Index(events, Event(SpawnFailed{a.Worker.ID})))
		if w := o.alive[a.Worker.ID]; w != nil {
			o.leave(w, by)
		}
		return o.buried(now, a)
	case Rescale:
		return o.rescaled(now, events, a)
	case Apply:
		return o.applied(now, a)
	case EndReload:
		delete(o.reloads, a.Revision)
		if a.Loader != (a.Result == RolledBack && a.Culprit == 0) || a.Loader && !o.unloadable(a.Revision) && a.Revision == o.candidate {
			return "rolled back without need"
		}
		if a.Revision == o.candidate {
			o.candidate = 0
		}
		if a.Result == Done {
			o.rollout, o.fallback = false, 0
			for _, w := range o.alive {
				if w.Revision != a.Revision && !w.told && !w.killed && w.aborted.IsZero() {
					return "reload done with an old worker serving"
				}
			}
		}
	case Up:
		o.rise()
	case Close:
		return o.closes()
	case Halt:
		if a.Loader && !o.unloadable(o.current) {
			return "gave up without need"
		}
		if (a.Culprit != 0 || a.Loader) && o.served() {
			return "gave up after something was ready"
		}
		for _, w := range o.alive {
			if !w.killed {
				return "halt with a living worker"
			}
		}
		for _, l := range o.nurses {
			if !l.killed {
				return "halt with a living loader"
			}
		}
		o.halted = true
	}
	return ""
}

func (o *oracle) retired(now time.Time, a Retire, stopped bool) string {
	w := o.alive[a.ID]
	if w == nil {
		return "acted on the dead"
	}
	if w.told || !w.aborted.IsZero() || w.killed {
		return "stop signal sent twice"
	}
	s := o.settings[o.current]
	if a.Until.Sub(now) > max(s.DrainTimeout, s.GracefulTimeout, QuickGrace) {
		return "grace too long"
	}
	w.bound = a.Until
	if w.stuck {
		w.bound = now.Add(s.GracefulTimeout)
		if by := o.stopAt.Add(-KillGrace); !o.serving() && by.Before(w.bound) {
			w.bound = by
		}
		if w.until = w.bound; a.Until.After(w.ends(now)) {
			return "grace too long"
		}
	}
	if a.Reason == ReasonLifetime {
		if !o.old(now, w) {
			return "replaced before its lifetime was over"
		}
		w.recycling = true
	}
	w.told, w.toldAt, w.until = true, now, a.Until
	if a.Reason == ReasonStop {
		if !o.delay.IsZero() {
			return "stopped before its delay was over"
		}
		if a.Until.Add(KillGrace).After(o.stopAt) && !o.stopAt.IsZero() {
			return "stop outlived its grace"
		}
		if o.stopAt.IsZero() { // gave up
			o.stopAt = a.Until.Add(KillGrace)
		}
		return ""
	}
	if w.Slot == NoSlot {
		return o.spareRetired(now, a, w)
	}
	if stopped || !w.ready || a.Reason == ReasonScale && !o.fills(w.Slot) {
		return ""
	}
	if o.servers(w.Slot, w.ID) > 0 {
		if o.rollout || w.recycling || a.Reason == ReasonSurplus || a.Reason == ReasonRollback || w.Revision != o.current {
			return ""
		}
		return "retired without need"
	}
	o.await(w)
	if w.stuck && (o.surge() == 0 || o.crowded(now, w.Slot) || o.spare() <= 0 || !o.anyFree(now, o.current, w.Slot)) { // its successor waits for the first drain to end
		o.atMost(now.Add(s.GracefulTimeout))
		return ""
	}
	if o.yields(now, w) {
		return ""
	}
	if broken := o.forced(now, w); broken != "" {
		return broken
	}
	for slot := range o.slots() {
		if slot != w.Slot && o.servers(slot, 0) == 0 {
			return "retired below strength"
		}
	}
	return ""
}

func (o *oracle) buried(now time.Time, a Bury) string {
	w := o.alive[a.Worker.ID]
	if w == nil {
		return "acted on the dead"
	}
	delete(o.alive, w.ID)
	if a.Verdict == Retired && !a.Worker.left {
		return ""
	}
	if w.Revision == o.current && (a.Verdict == BootFailed) != (!w.ready || o.stillborn(now, w)) && a.Verdict != Retired {
		return "failed boot misjudged"
	}
	if w.ended.IsZero() {
		o.count(now, w)
	}
	if w.nth == 0 {
		return ""
	}
	s := o.settings[w.Revision]
	if c := o.crashes[[2]int{w.Slot, w.Revision}]; c != nil && w.nth == c.n {
		c.until = w.ended.Add(a.Backoff)
	}
	if a.Backoff > s.BackoffMax || w.nth == 1 && a.Backoff > 0 {
		return "backoff too long"
	}
	least := s.BackoffMin / 2
	if w.nth > 12 {
		least = s.BackoffMax / 2
	}
	if w.nth >= 2 && a.Backoff < least {
		return "backoff too short"
	}
	return ""
}

// count enters the end of a worker that nobody asked to go as a crash of its slot.
func (o *oracle) count(now time.Time, w *life) {
	w.ended = now
	if w.Revision != o.current {
		return
	}
	if w.Slot != NoSlot {
		o.all.count(w, o.stayed(w, now), o.stillborn(now, w))
	}
	if w.Slot != NoSlot && !o.fills(w.Slot) {
		return
	}
	s := o.settings[w.Revision]
	key := [2]int{w.Slot, w.Revision}
	c := o.crashes[key]
	if w.Slot != NoSlot {
		if o.rows[w.Slot] == nil {
			o.rows[w.Slot] = &row{}
		}
		o.rows[w.Slot].count(w, o.stayed(w, now), o.stillborn(now, w))
	}
	if c == nil || o.stayed(w, now) {
		c = &crashes{}
		o.crashes[key] = c
	}
	c.n++
	w.nth = c.n
	if c.n >= 2 { // how long exactly is known when it is buried
		c.until = now.Add(s.BackoffMin / 2)
	}
}
