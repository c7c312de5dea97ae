//go:build linux

package admin

import (
	"context"

	"github.com/gosuper/gosuper/supervisor/control"
)

// Source is the master as this package sees it. Its methods are called from
// several goroutines and give up with the context; an error means that the
// master does not answer.
type Source interface {
	control.Master
	// Metrics returns what /metrics shows.
	Metrics(context.Context) (Metrics, error)
}

// Metrics are the figures of one scrape. Counters are totals since the master
// started and never go backwards.
type Metrics struct {
	// Status has the workers, what is asked for, and the counters of requests and
	// restarts.
	Status control.Status
	// Codes are the finished requests by class of their status, 1xx to 5xx, and
	// Durations theirs; nil: no worker has reported any, since none cooperates.
	Codes     *[5]uint64
	Durations *Histogram
	// Spawns are the times from the start of a worker until it was ready.
	Spawns *Histogram
	// Reloads are the reloads that are over, by result.
	Reloads map[string]uint64
	// Incidents are how many there were, by reason.
	Incidents map[string]uint64
	// Backlog is how many connections wait to be accepted.
	Backlog int
}

// Histogram counts observations. The zero value has none; nil is that nothing is
// known of them.
type Histogram struct {
	// Bounds are the upper bounds of the buckets, in seconds, ascending.
	Bounds []float64 `json:"bounds"`
	// Counts has one number more than Bounds, those of the observations that are
	// in this bucket and in none before; the last is for what is above all bounds.
	Counts []uint64 `json:"counts"`
	// Sum is that of all observations, in seconds.
	Sum float64 `json:"sum"`
}
