package scoreboard

import (
	"math/bits"
	"time"
)

// HistogramBuckets is the number of counters in the histogram of durations.
const HistogramBuckets = 64

// firstBucketBits: bucket 0 holds what is shorter than 1<<firstBucketBits
// nanoseconds.
const firstBucketBits = 14

// A Histogram counts finished requests by their duration. Bucket i holds those
// below [BucketBound] of i and not below that of i-1.
type Histogram struct {
	Counts [HistogramBuckets]uint64
	Sum    time.Duration // of all durations
}

// BucketBound returns the upper bound of a bucket, which is not in it. The last
// bucket has none; for it, and for an index that does not exist, the result is 0.
func BucketBound(i int) time.Duration {
	if i < 0 || i >= HistogramBuckets-1 {
		return 0
	}
	// 2, 3, 4, 6, 8, 12 ... times half of the first bound
	return time.Duration(2+i%2) << (firstBucketBits - 1 + i/2)
}

// bucket returns the index for a duration.
func bucket(d time.Duration) int {
	if d < 1<<firstBucketBits {
		return 0
	}
	e := bits.Len64(uint64(d)) - 1
	half := int(d>>(e-1)) & 1
	return min(1+2*(e-firstBucketBits)+half, HistogramBuckets-1)
}

// Observe records the duration of a finished request.
func (b *Board) Observe(d time.Duration) {
	d = max(d, 0)
	b.data.u64(OffsetHistogram + 8*bucket(d)).Add(1)
	b.data.u64(OffsetDuration).Add(uint64(d))
}

// Histogram returns the durations of the worker's finished requests.
func (v View) Histogram() Histogram {
	w := v.words()
	if w == nil {
		return Histogram{}
	}
	h := Histogram{Sum: time.Duration(w.u64(OffsetDuration).Load())}
	for i := range h.Counts {
		h.Counts[i] = w.u64(OffsetHistogram + 8*i).Load()
	}
	return h
}
