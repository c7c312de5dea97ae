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

// count counts an incident.
func (i *Incidents) count(reason string) {
	if i.By == nil {
		i.By = map[string]uint64{}
	}
	if isOwn(reason) && i.By[reason] == 0 {
		own := 0
		for known := range i.By {
			if isOwn(known) {
				own++
			}
		}
		if own >= mostOwn {
			reason = control.OtherReason
		}
	}
	i.By[reason]++
}

// Counts are how many incidents there were, by reason.
func (i *Incidents) Counts() map[string]uint64 { return maps.Clone(i.By) }
