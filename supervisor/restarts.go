//go:build linux

package supervisor

import (
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// restarts counts the workers that were started after the first ones.
type restarts struct {
	by    map[control.Reason]uint64 `state:"restarts"` // every reason is there
	slots map[int]uint64            `state:"slot_restarts"`
}

// counted is what a restart for each reason of the brain is counted as. The first
// workers are no restarts.
var counted = map[fleet.Reason]control.Reason{
	fleet.ReasonCrash:    control.Crash,
	fleet.ReasonStartup:  control.Startup,
	fleet.ReasonTimeout:  control.Timeout,
	fleet.ReasonWatchdog: control.Timeout,
	fleet.ReasonMemory:   control.Memory,
	fleet.ReasonLifetime: control.Lifetime,
	fleet.ReasonRequests: control.MaxRequests,
	fleet.ReasonReload:   control.ByReload,
	fleet.ReasonRollback: control.ByReload,
	fleet.ReasonScale:    control.Scale,
	fleet.ReasonRecycle:  control.Recycle,
	fleet.ReasonLeft:     control.Recycle, // it did not wait to be asked
}

func newRestarts() restarts {
	r := restarts{by: map[control.Reason]uint64{}, slots: map[int]uint64{}}
	for _, reason := range control.Reasons() {
		r.by[reason] = 0
	}
	return r
}

// count enters a spawn in a slot. A reason that is not one of the brain's is the
// worker's own for wanting to be replaced.
func (r restarts) count(slot int, why fleet.Reason) {
	if why == fleet.ReasonStart {
		return
	}
	reason, known := counted[why]
	if !known {
		reason = control.Recycle
	}
	r.by[reason]++
	r.slots[slot]++
}

// countSpawn enters the spawn, unless it is that of a canary: it replaces nobody
// until its revision is accepted.
func (s *Supervisor) countSpawn(a fleet.Spawn) {
	if inForce, _ := s.fleet.Revision(); a.Worker.Revision == inForce {
		s.restarts.count(a.Worker.Slot, a.Reason)
	}
}

// countCanary enters the spawn of the only worker of a revision that was just
// accepted.
func (s *Supervisor) countCanary(revision int) {
	for w := range s.fleet.Workers() {
		if w.Revision == revision && w.State == fleet.Ready {
			s.restarts.count(w.Slot, fleet.ReasonReload)
			return
		}
	}
}
