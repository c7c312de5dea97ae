package supervisor

import (
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// restarts counts the workers that were started after the first ones.
type restarts struct {
	by    map[control.Reason]uint64 // every reason is there
	slots map[int]uint64
}

func newRestarts() restarts {
	r := restarts{by: map[control.Reason]uint64{}, slots: map[int]uint64{}}
	for _, reason := range control.Reasons() {
		r.by[reason] = 0
	}
	return r
}

// count enters a spawn, unless it is one of the first workers.
func (r restarts) count(a fleet.Spawn) {
	if a.Reason == fleet.ReasonStart {
		return
	}
	r.by[reasonOf(a.Reason)]++
	r.slots[a.Worker.Slot]++
}

// reasonOf is the reason as it is counted. There are few of those, whatever
// workers give as theirs.
func reasonOf(r fleet.Reason) control.Reason {
	switch r {
	case fleet.ReasonWatchdog:
		return control.Timeout
	case fleet.ReasonRollback:
		return control.ByReload
	}
	for _, known := range control.Reasons() {
		if string(known) == string(r) {
			return known
		}
	}
	return control.Recycle
}
