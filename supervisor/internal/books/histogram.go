//go:build linux

package books

import (
	"slices"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// Histogram counts observations.
type Histogram struct {
	// Bounds are the upper bounds of the buckets, in seconds, ascending.
	Bounds []float64
	// Counts has one number more than Bounds, those of the observations that are
	// in this bucket and in none before; the last is for what is above all bounds.
	Counts []uint64
	// Sum is that of all observations, in seconds.
	Sum float64
}

// The bounds of buckets that are shown, of those there are: from 65 microseconds
// to 37 minutes.
const (
	firstBound = 4
	lastBound  = 54
)

// Requests are the durations of all requests that boards have counted, and how many
// were answered by class of their status, 1xx to 5xx; nil: no board was read.
func (b *Books) Requests() (durations *Histogram, codes *[5]uint64) {
	if !b.tally.Heard() {
		return nil, nil
	}
	total := b.tally.Total()
	return durationsOf(total.Histogram, total.Microseconds), &total.Counters.Status
}

// durationsOf is the histogram of all boards, in seconds.
func durationsOf(counts []uint64, microseconds uint64) *Histogram {
	h := &Histogram{Sum: float64(microseconds) / 1e6}
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

// Spawns are the times from the start of a worker until it was ready.
func (b *Books) Spawns() *Histogram {
	h := &Histogram{Counts: slices.Clone(b.spawns.counts), Sum: b.spawns.sum.Seconds()}
	for _, bound := range spawnBounds {
		h.Bounds = append(h.Bounds, bound.Seconds())
	}
	return h
}
