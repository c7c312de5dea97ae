//go:build linux

package control

import "fmt"

// Overlap is why a worker stops before its replacement starts, or a spare does not start,
// although surge and spares allow it: memory has no room for another process. The figures are
// those of the last measurement, and 0 where that was made by a master before an upgrade.
type Overlap struct {
	LimitBytes   uint64 `json:"limit_bytes"`   // the memory limit
	LeftBytes    uint64 `json:"left_bytes"`    // of it, for processes
	ProcessBytes uint64 `json:"process_bytes"` // what one takes
	Why          string `json:"why"`
}

// Explain sets Why.
func (o *Overlap) Explain() {
	const mib = 1 << 20
	o.Why = "overlap reduced: memory has no room for a replacement beside its worker, nor for a spare"
	if o.LimitBytes > 0 {
		o.Why += fmt.Sprintf(": %d MiB of %d are left, and one takes %d", o.LeftBytes/mib, o.LimitBytes/mib, (o.ProcessBytes+mib-1)/mib)
	}
}
