//go:build linux

package report

import (
	"cmp"
	"fmt"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// wait says in one line why workers are missing that could be started otherwise; "": none
// are.
func (r *Report) wait(sum fleet.Summary, now time.Time) string {
	return cmp.Or(r.Loaders.Wait(r.Revisions.Current.Number, sum, now), r.waitForLease(sum))
}

// waitForLease says who keeps a lease that a missing worker could have; "": nobody does, or
// another lease is free.
func (r *Report) waitForLease(sum fleet.Summary) (why string) {
	if sum.Ready >= sum.Target {
		return ""
	}
	for _, l := range r.Fleet.Leases() {
		one := leaseOf(l)
		if one.Worker == nil {
			return ""
		}
		if _, alive := r.Fleet.Worker(l.Worker); why == "" && (l.Unkillable || !alive) {
			why = fmt.Sprintf("no lease is free: %s is held by %s", one, one.Holder())
			if !l.Unkillable {
				why = fmt.Sprintf("no lease is free: %s is held by what is left of worker %d", one, l.Worker)
			}
		}
	}
	return why
}

// leaseOf is a lease with its holder, for people and programs.
func leaseOf(l fleet.Tenure) control.Lease {
	one := control.Lease{Values: l.Lease, Unkillable: l.Unkillable}
	if l.Worker != 0 {
		one.Worker = new(l.Worker)
	}
	return one
}
