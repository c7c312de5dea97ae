//go:build linux

package supervisor

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// Metrics returns the figures of a scrape. Any goroutine but that of Run may
// call it; no worker is waited for.
func (s *Supervisor) Metrics(ctx context.Context) (m admin.Metrics, err error) {
	err = s.ask(ctx, func() {
		m.Status = s.look()
		if s.tally.Heard() {
			total := s.tally.Total()
			m.Codes = &total.Counters.Status
			m.Durations = durations(total.Histogram, total.Microseconds)
		}
		m.Spawns = s.spawns.histogram()
		m.Reloads = maps.Clone(s.reloads.ended)
		m.Backlog = s.current.sockets.Queue()
	})
	if err == nil {
		tellWeights(m.Status.Workers, s.scales.Recall)
	}
	return m, err
}

// The bounds of buckets that are shown, of those there are: from 65 microseconds
// to 37 minutes.
const (
	firstBound = 4
	lastBound  = 54
)

// durations is the histogram of all boards, in seconds.
func durations(counts []uint64, microseconds uint64) *admin.Histogram {
	h := &admin.Histogram{Sum: float64(microseconds) / 1e6}
	for i := firstBound; i <= lastBound; i++ {
		h.Bounds = append(h.Bounds, scoreboard.BucketBound(i).Seconds())
	}
	h.Counts = make([]uint64, len(h.Bounds)+1)
	for i, n := range counts {
		h.Counts[min(max(i-firstBound, 0), len(h.Bounds))] += n
	}
	return h
}

// spawnBounds are the bounds of the buckets for the time from spawn to ready.
var spawnBounds = []time.Duration{
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
}

// spawns are the times that workers took until they were ready.
type spawns struct {
	bounds []time.Duration `state:"bounds"` // spawnBounds
	counts []uint64        `state:"counts"` // one more than spawnBounds
	sum    time.Duration   `state:"sum"`
}

func (s *spawns) add(d time.Duration) {
	if s.counts == nil {
		s.bounds, s.counts = spawnBounds, make([]uint64, len(spawnBounds)+1)
	}
	i := 0
	for i < len(spawnBounds) && d > spawnBounds[i] {
		i++
	}
	s.counts[i]++
	s.sum += d
}

// fit takes counts over whose buckets may be those of another version.
func (s *spawns) fit() {
	was := *s
	if s.counts == nil || slices.Equal(was.bounds, spawnBounds) {
		return
	}
	s.bounds, s.counts = spawnBounds, make([]uint64, len(spawnBounds)+1)
	for i, n := range was.counts {
		bucket := len(spawnBounds)
		if i < len(was.bounds) {
			bucket, _ = slices.BinarySearch(spawnBounds, was.bounds[i])
		}
		s.counts[bucket] += n
	}
}

func (s *spawns) histogram() *admin.Histogram {
	h := &admin.Histogram{Counts: append([]uint64(nil), s.counts...), Sum: s.sum.Seconds()}
	for _, b := range spawnBounds {
		h.Bounds = append(h.Bounds, b.Seconds())
	}
	return h
}
