//go:build linux

package control

// History is the last hour of the fleet, as far as anybody looked: a point for each step
// of so long in which the boards of workers were read for some reason, the oldest first.
type History struct {
	StepSeconds float64 `json:"step_seconds"`
	Points      []Point `json:"points"`
}

// Point is what was seen in one step.
type Point struct {
	AgoSeconds float64 `json:"ago_seconds"`
	// InFlight is the most requests that were, and RequestsPerSecond how many were
	// finished since the point before; nil: no worker reports them.
	InFlight          *uint64  `json:"in_flight"`
	RequestsPerSecond *float64 `json:"requests_per_second"`
	// P50Seconds, P90Seconds and P99Seconds are quantiles of the durations of those
	// requests; nil: there were none.
	P50Seconds *float64 `json:"p50_seconds"`
	P90Seconds *float64 `json:"p90_seconds"`
	P99Seconds *float64 `json:"p99_seconds"`
	// MemoryBytes is the most that workers and loaders took, as far as it was measured;
	// nil: it was not.
	MemoryBytes *uint64 `json:"memory_bytes"`
}
