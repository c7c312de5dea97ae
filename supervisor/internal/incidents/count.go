//go:build linux

package incidents

import (
	"maps"
	"slices"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

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
