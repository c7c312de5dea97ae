package fleet

import "time"

// Horizon returns until when what is under way may take: by then every starting
// worker is ready or was killed, every drain is over, every backoff has ended in
// a boot, and a stop is complete. What follows from one of those may take until
// a later horizon. Zero: nothing is under way; that a worker will be old some day
// is not.
func (f *Fleet) Horizon() time.Time {
	if !f.stopAt.IsZero() {
		return f.stopAt.Add(f.current.GracefulTimeout + KillGrace)
	}
	var last time.Time
	consider := func(t time.Time) {
		if t.After(last) {
			last = t
		}
	}
	for _, w := range f.workers {
		if w.State != Ready && !w.due.IsZero() { // not yet killed
			consider(w.due.Add(AbortGrace))
		}
	}
	if f.stopping {
		consider(f.stopBy.Add(KillGrace))
		return last
	}
	for _, s := range f.slots {
		if s.inBackoff(f.current.number, f.now) {
			consider(s.until.Add(f.current.StartupTimeout + AbortGrace))
		}
	}
	return last
}
