//go:build linux

package incidents

import (
	"maps"
	"slices"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// How much is kept of all incidents together: so many of them, so many of their requests,
// and so many bytes of their stacks. The newest ones are kept whole.
const (
	Most         = 64
	mostRequests = 2048
	mostStacks   = 256 << 10
)

// Incidents are the last ones, oldest first. The zero value has none.
type Incidents struct {
	All []Incident `json:"all,omitempty"`
	// By is how many there were in all, by reason.
	By map[string]uint64 `json:"by,omitempty"`
}

// Enter counts and enters an incident, and forgets the oldest of too many.
func (i *Incidents) Enter(one Incident) {
	i.count(one.Reason)
	i.add(one)
}

// add enters an incident that is counted.
func (i *Incidents) add(one Incident) {
	if len(i.All) >= Most {
		i.All = slices.Delete(i.All, 0, len(i.All)-Most+1)
	}
	i.All = append(i.All, one.bounded())
	requests, stacks := 0, 0
	for n := range slices.Backward(i.All) {
		one := &i.All[n]
		if requests += len(one.Held.Requests); requests > mostRequests {
			requests -= len(one.Held.Requests)
			one.Held = one.Held.few()
		}
		if stacks += size(one.Stacks); stacks > mostStacks {
			one.Stacks = nil
		}
	}
}

// Resume goes on with those that another version of the master has kept, which may have
// had other bounds. older are some that it kept elsewhere.
func (i *Incidents) Resume(older ...Incident) {
	later := i.All
	i.All = nil
	for _, one := range slices.Concat(older, later) {
		i.add(one)
	}
}

// Last returns the newest incident that is as wanted; false: there was none, or it is
// forgotten.
func (i *Incidents) Last(is func(Incident) bool) (Incident, bool) {
	for _, one := range slices.Backward(i.All) {
		if is(one) {
			return one, true
		}
	}
	return Incident{}, false
}

// routine are the reasons for which workers are retired when nothing is wrong with
// them. All others are faults, and whatever a worker itself gives as one.
var routine = []fleet.Reason{
	"", fleet.ReasonLifetime, fleet.ReasonReload, fleet.ReasonRollback, fleet.ReasonScale, fleet.ReasonRecycle,
	fleet.ReasonLeft, fleet.ReasonSurplus, fleet.ReasonStop, fleet.ReasonRequests,
}

// Reason is why the end of a worker is an incident; false: it is none, since somebody had
// asked for it, nothing was wrong with the worker, and it went by itself.
func Reason(a fleet.Bury) (reason fleet.Reason, is bool) {
	if a.Verdict != fleet.Retired {
		return a.Reason, true
	}
	reason = a.Worker.Why
	return reason, !slices.Contains(routine, reason) || a.Worker.State == fleet.Killed
}

// mostOwn is how many reasons that workers give are counted by name. A worker can make up
// any; what comes after that is counted together.
const mostOwn = 16

// isOwn says whether a reason is one that only workers give.
func isOwn(reason string) bool {
	return !slices.Contains(control.IncidentReasons(), reason) && !slices.Contains(routine, fleet.Reason(reason))
}

// Named returns the name under which a reason is to be counted where there are these counts
// by name already: itself, or [control.OtherReason] for one that only workers give, if there
// are as many of those as are counted by name.
func Named(counts map[string]uint64, reason string) string {
	if !isOwn(reason) || counts[reason] > 0 {
		return reason
	}
	own := 0
	for known := range counts {
		if isOwn(known) {
			own++
		}
	}
	if own >= mostOwn {
		return control.OtherReason
	}
	return reason
}

// count counts an incident.
func (i *Incidents) count(reason string) {
	if i.By == nil {
		i.By = map[string]uint64{}
	}
	i.By[Named(i.By, reason)]++
}

// Counts are how many incidents there were, by reason.
func (i *Incidents) Counts() map[string]uint64 { return maps.Clone(i.By) }
