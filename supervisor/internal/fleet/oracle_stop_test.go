package fleet

import "time"

// serving says whether no stop has begun.
func (o *oracle) serving() bool { return o.stopAt.IsZero() || !o.delay.IsZero() }

// close notes that a stop begins, which gives everybody until then.
func (o *oracle) close(by time.Time) {
	o.delay = time.Time{}
	o.atMost(by)
	if o.closeBy.IsZero() || by.Before(o.closeBy) {
		o.closeBy = by
	}
	for _, w := range o.alive {
		if w.told && by.Before(w.until) {
			w.until = by
		}
	}
}

// atMost notes that no retirement under way may take longer than that.
func (o *oracle) atMost(by time.Time) {
	for _, w := range o.alive {
		if w.told && by.Before(w.bound) {
			w.bound = by
		}
	}
}

// asked notes that the fleet is to stop. Whether anything was ever ready is for the brain
// to say if what it is told before in the same moment may have made it so.
func (o *oracle) asked(now time.Time, quick bool) {
	if quick || o.event == 0 || o.served() {
		o.stop(now, quick, o.served())
		return
	}
	o.unsure = true
}

// stop notes until when what was asked for has to be over.
func (o *oracle) stop(now time.Time, quick, served bool) {
	s := o.settings[o.current]
	grace := s.GracefulTimeout
	if quick {
		grace, o.quick = QuickGrace, true
	}
	end := now.Add(grace + KillGrace)
	switch {
	case !quick && !o.stopAt.IsZero():
	case !quick && served && s.StopDelay > 0:
		o.delay = now.Add(s.StopDelay)
		o.stopAt = end.Add(s.StopDelay)
	case o.stopAt.IsZero() || end.Before(o.stopAt):
		o.stopAt = end
		o.close(now.Add(grace))
	case quick:
		o.close(o.stopAt.Add(-KillGrace))
	}
}

// abandoned says whether a slot has nobody although there is room and nothing
// to wait for.
func (o *oracle) abandoned(now time.Time) bool {
	if o.vacant() <= 0 || o.settings[o.current].StartParallel > 0 || o.loads(now) {
		return false
	}
	held := map[int]bool{}
	for _, w := range o.alive {
		held[w.Slot] = held[w.Slot] || !w.undead
	}
	for slot := range o.slots() {
		c := o.crashes[[2]int{slot, o.current}]
		if !held[slot] && o.anyFree(now, o.current, slot) && (c == nil || !c.until.After(now)) && (o.served() || o.pioneers(slot)) {
			return true
		}
	}
	return false
}

// closes checks the beginning of a stop, which may be that the brain gives up.
func (o *oracle) closes() string {
	o.closed = true
	if !o.delay.IsZero() {
		return "stopped before its delay was over"
	}
	if o.stopAt.IsZero() { // gave up, which is a quick stop
		o.quick = true
		if !o.unloadable(o.current) && !o.unbootable() {
			return "gave up without need"
		}
	}
	return ""
}
