//go:build linux

package books

import (
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
)

// restarts counts the workers that were started after the first ones.
type restarts struct {
	by    map[control.Reason]uint64 `state:"restarts"` // every reason is there
	slots map[int]uint64            `state:"slot_restarts"`
	loads map[control.Reason]uint64 `state:"loader_restarts"`
	own   map[string]uint64         `state:"recycle_reasons"` // of workers that wanted to be replaced
}

// counted is what a restart for each reason of the brain is counted as. The first
// workers are no restarts, nor are spares.
var counted = map[fleet.Reason]control.Reason{
	fleet.ReasonCrash:    control.Crash,
	fleet.ReasonStartup:  control.Startup,
	fleet.ReasonTimeout:  control.Timeout,
	fleet.ReasonWatchdog: control.Timeout,
	fleet.ReasonMemory:   control.Memory,
	fleet.ReasonLifetime: control.Lifetime,
	fleet.ReasonRequests: control.MaxRequests,
	fleet.ReasonFailures: control.MaxFailures,
	fleet.ReasonReload:   control.ByReload,
	fleet.ReasonRollback: control.ByReload,
	fleet.ReasonScale:    control.Scale,
	fleet.ReasonRecycle:  control.Recycle,
	fleet.ReasonLeft:     control.Recycle, // it did not wait to be asked
}

func newRestarts() restarts {
	r := restarts{by: map[control.Reason]uint64{}, slots: map[int]uint64{}, loads: map[control.Reason]uint64{}, own: map[string]uint64{}}
	for _, reason := range control.Reasons() {
		r.by[reason] = 0
	}
	return r
}

// Restarted enters a worker that replaces another in its slot, unless it is one of
// the first, or a spare, which replaces nobody yet. A reason that is not one of the brain's is the worker's own for wanting
// to be replaced.
func (b *Books) Restarted(slot int, why fleet.Reason) {
	if why == fleet.ReasonStart || why == fleet.ReasonSpare {
		return
	}
	reason, known := counted[why]
	if !known {
		reason = control.Recycle
		b.restarts.own[incidents.Named(b.restarts.own, string(why))]++
	}
	b.restarts.by[reason]++
	b.restarts.slots[slot]++
}

// Loaded enters a loader that was started after the first one, for the reason of the end
// of the one before.
func (b *Books) Loaded(why fleet.Reason) { b.restarts.loads[counted[why]]++ }

// RestartsOf is how often a worker of the slot was replaced.
func (b *Books) RestartsOf(slot int) uint64 { return b.restarts.slots[slot] }
