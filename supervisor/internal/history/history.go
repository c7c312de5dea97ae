//go:build linux

// Package history is a picture of the last hour: how many workers were ready and requests in
// flight, how long those took that were finished, and how much memory the fleet had.
//
// Nobody is woken for it. [History.Note] is told what is known whenever the boards of the
// workers are read for another reason: somebody looks (status, top, the page, a scrape), or a request could be overdue. So
// the picture is as fine as [Step] while somebody looks, and as coarse as a request may be
// silent while nobody does. It takes the same memory whatever happens.
package history

import (
	"slices"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// What is kept: a point for each step of so long, for so long.
const (
	Step = 15 * time.Second
	Kept = time.Hour
)

// Most is how many points there are at most.
const Most = int(Kept/Step) + 1

// Seen is what is known at one moment.
type Seen struct {
	Workers   uint64   // that were ready
	Known     bool     // workers report their requests; else what follows is not known, but for Memory
	InFlight  uint64   // requests
	Finished  uint64   // requests, in all
	Histogram []uint64 // of their durations, in the buckets of a board
	Memory    uint64   // in bytes; 0: not known
}

// A Point is what was seen in one step.
type Point struct {
	At       time.Time `state:"at"`      // of what was seen last
	Workers  *uint64   `state:"workers"` // most that were ready; nil: a master before an upgrade did not note it
	Known    bool      `state:"known"`
	InFlight uint64    `state:"in_flight"` // most that were
	Rate     float64   `state:"rate"`      // of requests, in each second since the point before
	// P50, P90 and P99 are quantiles of the durations of the requests that were finished
	// since the point before; 0: there were none.
	P50    time.Duration `state:"p50"`
	P90    time.Duration `state:"p90"`
	P99    time.Duration `state:"p99"`
	Memory uint64        `state:"memory"` // most that it was; 0: not known
}

// History is that of one fleet. The zero value knows nothing.
type History struct {
	points []Point   `state:"points"` // ascending; the last one may still change
	base   totals    `state:"base"`   // when the point before the last one was over
	last   totals    `state:"totals"` // those that were seen last
	begun  time.Time `state:"begun"`  // of the last point
}

// totals are those of a moment.
type totals struct {
	at        time.Time `state:"at"`
	finished  uint64    `state:"finished"`
	histogram []uint64  `state:"histogram"`
}

// Note enters what is seen.
func (h *History) Note(now time.Time, seen Seen) {
	if len(h.points) == 0 || now.Sub(h.begun) >= Step {
		h.base, h.begun = h.last, now
		h.points = append(h.points, Point{})
		h.forget(now)
	}
	h.last = totals{now, seen.Finished, slices.Clone(seen.Histogram)}
	p := &h.points[len(h.points)-1]
	p.At, p.Memory = now, max(p.Memory, seen.Memory)
	if p.Workers == nil || *p.Workers < seen.Workers {
		p.Workers = new(seen.Workers)
	}
	if !seen.Known {
		return
	}
	p.Known, p.InFlight = true, max(p.InFlight, seen.InFlight)
	if h.base.at.IsZero() { // what was before is not known
		h.base = h.last
		return
	}
	if span := now.Sub(h.base.at); span > 0 {
		p.Rate = float64(seen.Finished-min(h.base.finished, seen.Finished)) / span.Seconds()
	}
	p.P50, p.P90, p.P99 = h.quantile(0.5), h.quantile(0.9), h.quantile(0.99)
}

// forget drops what is too old.
func (h *History) forget(now time.Time) {
	h.points = slices.DeleteFunc(h.points, func(p Point) bool { return !p.At.IsZero() && now.Sub(p.At) > Kept })
	if more := len(h.points) - Most; more > 0 {
		h.points = slices.Delete(h.points, 0, more)
	}
}

// Points are those of the last hour, the oldest first.
func (h *History) Points(now time.Time) []Point {
	h.forget(now)
	return slices.Clone(h.points)
}

// quantile is that of the durations since the base; 0: there are none.
func (h *History) quantile(q float64) time.Duration {
	counts, total := make([]uint64, len(h.last.histogram)), uint64(0)
	for i, n := range h.last.histogram {
		if i < len(h.base.histogram) {
			n -= min(h.base.histogram[i], n)
		}
		counts[i] = n
		total += n
	}
	if total == 0 {
		return 0
	}
	left := q * float64(total)
	for i, n := range counts {
		if left > float64(n) || n == 0 {
			left -= float64(n)
			continue
		}
		low, high := scoreboard.BucketBound(i-1), scoreboard.BucketBound(i)
		if high == 0 { // the last one has no bound
			return low
		}
		return low + time.Duration(float64(high-low)*left/float64(n))
	}
	return scoreboard.BucketBound(scoreboard.HistogramBuckets - 2)
}
