package tally

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// TestDurations holds what becomes of the sum of durations. Bucket 1 is from 16 to
// 24 microseconds, the last one from hours.
func TestDurations(t *testing.T) {
	one := func(bucket int, n, sum uint64) Reading {
		r := Reading{Histogram: make([]uint64, scoreboard.HistogramBuckets), Microseconds: sum}
		r.Histogram[bucket] = n
		return r
	}
	last := scoreboard.HistogramBuckets - 1
	hours := uint64(scoreboard.BucketBound(last - 1).Microseconds())
	tests := []struct {
		name     string
		readings []Reading
		want     []uint64
	}{
		{"as it is", []Reading{one(1, 1, 20), one(1, 3, 60)}, []uint64{20, 60}},
		{"a sum that came too late", []Reading{one(1, 2, 20), one(1, 3, 60), one(1, 4, 80)}, []uint64{32, 57, 80}},
		{"a sum that came too early", []Reading{one(1, 1, 60), one(1, 3, 60)}, []uint64{25, 60}},
		{"without requests", []Reading{one(1, 0, 1000), one(1, 0, math.MaxUint64)}, []uint64{0, 0}},
		{"backwards", []Reading{one(1, 2, 40), one(1, 2, 0), one(1, 3, 0)}, []uint64{40, 40, 56}},
		{"far too much", []Reading{one(1, 1, math.MaxUint64)}, []uint64{25}},
		{"hours", []Reading{one(last, 1, hours+7), one(last, 2, math.MaxUint64)}, []uint64{hours + 7, 3*hours + 7}},
		{"more hours than there are", []Reading{one(last, MaxRate, math.MaxUint64), one(last, 2*MaxRate, math.MaxUint64)}, []uint64{2 * MaxRate * hours, 4 * MaxRate * hours}},
	}
	for _, test := range tests {
		tally, now := New(), time.Now()
		tally.Join(1, now)
		for i, r := range test.readings {
			now = now.Add(time.Second)
			tally.Add(1, now, r)
			if got := tally.Total().Microseconds; got != test.want[i] {
				t.Errorf("%s: %d after reading %d, want %d", test.name, got, i, test.want[i])
			}
		}
	}
}

// TestDurationsOnlyGrow: whatever is on the boards, for however long.
func TestDurationsOnlyGrow(t *testing.T) {
	tally, now := New(), time.Now()
	last := uint64(0)
	for id := range 1000 {
		tally.Join(id, now)
		for range 10 {
			now = now.Add(time.Duration(rand.Int64N(int64(1000 * time.Hour))))
			r := Reading{Histogram: make([]uint64, scoreboard.HistogramBuckets+2), Microseconds: rand.Uint64()}
			for i := range r.Histogram {
				r.Histogram[i] = rand.Uint64() >> rand.IntN(64)
			}
			tally.Add(id, now, r)
			if got := tally.Total().Microseconds; got < last {
				t.Fatalf("%d after %d", got, last)
			} else {
				last = got
			}
		}
	}
	if last != math.MaxUint64 {
		t.Errorf("the sum ends at %d, want the largest number", last)
	}
}
