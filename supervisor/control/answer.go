//go:build linux

package control

// Health is what a probe wants to know.
type Health struct {
	// Healthy says that the master answers; Ready that it has a ready worker and
	// is not stopping.
	Healthy bool  `json:"healthy"`
	Ready   bool  `json:"ready"`
	State   State `json:"state"`
	// Condition is how the fleet is.
	Condition Condition `json:"condition"`
	// ReadyWorkers is how many of the WorkersTarget slots have a ready worker.
	ReadyWorkers  int `json:"ready_workers"`
	WorkersTarget int `json:"workers_target"`
	// Reason says why workers are missing, where they wait for a loader or for a
	// lease; "": they do not.
	Reason string `json:"reason"`
}

// Scaling is the wish for another number of workers: Workers, or By more, which
// may be negative and leaves at least one. One of the two is nil.
type Scaling struct {
	Workers *int `json:"workers,omitempty"`
	By      *int `json:"by,omitempty"`
}

// Scaled is the answer to a change of the number of workers.
type Scaled struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Recycling is the wish to have workers replaced: those with the ids, or All.
type Recycling struct {
	Workers []int `json:"workers,omitempty"`
	All     bool  `json:"all,omitempty"`
}

// Recycled is the answer to the wish to replace workers.
type Recycled struct {
	Workers []int `json:"workers"` // their ids
}

// Stopped is the answer to a stop. Ended says that the master has given back
// all that it held; else it is about to.
type Stopped struct {
	Ended bool `json:"ended"`
}

// Upgrade is how the last upgrade in place went.
type Upgrade struct {
	Result Result `json:"result"` // None, Underway, OK or Refused
	// From is the version before, To the one after, once it runs.
	From string `json:"from"`
	To   string `json:"to"`
	// Error is why it was refused, with the last lines of the new version; else "".
	Error string `json:"error"`
}

// Error is the answer to what cannot be done.
type Error struct {
	Status  int    `json:"-"` // of HTTP; 0: nobody answered
	Message string `json:"error"`
	Hint    string `json:"hint,omitempty"` // what to do about it
}

func (e *Error) Error() string { return e.Message }

// History is the last hour of the fleet, as far as anybody looked: a point for each step
// of so long in which the boards of workers were read for some reason, the oldest first.
type History struct {
	StepSeconds float64 `json:"step_seconds"`
	Points      []Point `json:"points"`
}

// Point is what was seen in one step.
type Point struct {
	AgoSeconds float64 `json:"ago_seconds"`
	// Workers is the most that were ready; nil: a master before an upgrade did not note it.
	Workers *uint64 `json:"workers"`
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
