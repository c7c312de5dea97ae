package tally

import (
	"maps"
	"math"
	"slices"
	"time"
)

// Snapshot is a whole Tally, for another process to go on with. Counters are
// by name, so that one which only one of the two knows moves none of the
// others. Times are durations since an epoch on which both agree.
type Snapshot struct {
	Counters     map[string]uint64 `state:"counters"`
	Histogram    []uint64          `state:"histogram"`
	Microseconds uint64            `state:"microseconds"`
	Heard        bool              `state:"heard"`
	Lost         uint64            `state:"lost"`
	Workers      []WorkerSnapshot  `state:"workers"`
}

// WorkerSnapshot is what is remembered of a worker.
type WorkerSnapshot struct {
	ID           int             `state:"id"`
	Joined       time.Duration   `state:"joined"`
	Counters     map[string]Cell `state:"counters"`
	Histogram    []Cell          `state:"histogram"`
	Microseconds uint64          `state:"microseconds"`
}

// Cell is one counter of one worker.
type Cell struct {
	Mark   uint64        `state:"mark"`
	At     time.Duration `state:"at"`
	Credit uint64        `state:"credit"`
}

// names are those of counters, in their order.
var names = []string{
	"started", "finished", "accepted", "timeouts", "unslotted", "log_dropped",
	"status_1xx", "status_2xx", "status_3xx", "status_4xx", "status_5xx",
}

// Snapshot returns the whole Tally.
func (t *Tally) Snapshot(epoch time.Time) Snapshot {
	s := Snapshot{Microseconds: t.microseconds, Heard: t.heard, Lost: t.lost}
	s.Counters, s.Histogram = named(t.total)
	for _, id := range slices.Sorted(maps.Keys(t.workers)) {
		w := t.workers[id]
		cells := make([]Cell, len(w.cells))
		for i, c := range w.cells {
			cells[i] = Cell{c.mark, c.at, c.credit}
		}
		one := WorkerSnapshot{ID: id, Joined: w.joined.Sub(epoch), Microseconds: w.microseconds}
		one.Counters, one.Histogram = named(cells)
		s.Workers = append(s.Workers, one)
	}
	return s
}

// Restore returns the Tally that a snapshot was taken of.
func Restore(s Snapshot, epoch time.Time) *Tally {
	t := New()
	t.total, t.microseconds = vector(s.Counters, s.Histogram, 0), s.Microseconds
	// Older snapshots have no Heard, and read the empty boards of plain workers too.
	t.heard, t.lost = s.Heard || s.Counters["started"] > 0, s.Lost
	for _, one := range s.Workers {
		w := &worker{joined: epoch.Add(one.Joined), microseconds: min(one.Microseconds, math.MaxInt64)}
		for _, c := range vector(one.Counters, one.Histogram, Cell{Credit: MaxRate}) {
			w.cells = append(w.cells, cell{c.Mark, c.At, c.Credit})
		}
		t.workers[one.ID] = w
	}
	return t
}

// named takes a vector apart.
func named[T any](vector []T) (counters map[string]T, histogram []T) {
	counters = make(map[string]T, len(names))
	for i, v := range vector {
		if i < len(names) {
			counters[names[i]] = v
		} else {
			histogram = append(histogram, v)
		}
	}
	return counters, histogram
}

// vector is the inverse of named; a counter that is missing has the value none.
// Where all are missing there was no reading yet.
func vector[T any](counters map[string]T, histogram []T, none T) []T {
	if len(counters) == 0 && len(histogram) == 0 {
		return nil
	}
	all := make([]T, len(names), len(names)+len(histogram))
	for i, name := range names {
		all[i] = none
		if v, ok := counters[name]; ok {
			all[i] = v
		}
	}
	return append(all, histogram...)
}
