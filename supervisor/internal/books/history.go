//go:build linux

package books

import (
	"math"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/history"
)

// Observe enters how many requests are in flight and how much memory the fleet takes, for
// the picture of the last hour; 0: that is not known. The totals are up to date.
func (b *Books) Observe(now time.Time, inFlight, memory uint64) {
	total := b.tally.Total()
	b.history.Note(now, history.Seen{
		Known: b.tally.Heard(), InFlight: inFlight, Finished: total.Counters.Finished, Histogram: total.Histogram, Memory: memory,
	})
}

// History is the picture of the last hour.
func (b *Books) History(now time.Time) control.History {
	all := control.History{StepSeconds: history.Step.Seconds(), Points: []control.Point{}}
	for _, p := range b.history.Points(now) {
		one := control.Point{AgoSeconds: control.Seconds(now.Sub(p.At))}
		if p.Known {
			one.InFlight, one.RequestsPerSecond = new(p.InFlight), new(math.Round(p.Rate*1000)/1000)
		}
		if p.P99 > 0 {
			one.P50Seconds, one.P90Seconds, one.P99Seconds = new(p.P50.Seconds()), new(p.P90.Seconds()), new(p.P99.Seconds())
		}
		if p.Memory > 0 {
			one.MemoryBytes = new(p.Memory)
		}
		all.Points = append(all.Points, one)
	}
	return all
}
