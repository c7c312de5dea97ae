package load

import (
	"math/bits"
	"time"
)

// precision is the number of buckets to each doubling: a quantile is too high
// by at most one in so many.
const precision = 32

// Histogram counts durations in buckets that grow with them. The zero value is
// empty.
type Histogram struct {
	counts [60 * precision]uint32
	total  uint64
	most   time.Duration
}

// Add counts a duration; a negative one counts as 0.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(d)]++
	h.total++
	h.most = max(h.most, d)
}

// Max is the longest duration.
func (h *Histogram) Max() time.Duration { return h.most }

// Quantile returns a duration that the fraction q of all do not exceed, 0 if
// there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	var seen uint64
	for i, n := range h.counts {
		seen += uint64(n)
		if n > 0 && float64(seen) >= q*float64(h.total) {
			return min(upper(i), h.most)
		}
	}
	return h.most
}

func (h *Histogram) merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.most = max(h.most, other.most)
}

// bucket counts nanoseconds one by one below precision; above that each
// doubling is divided into precision steps.
func bucket(d time.Duration) int {
	n := uint64(max(d, 0))
	doublings := max(bits.Len64(n)-bits.Len64(precision), 0)
	return doublings*precision + int(n>>doublings)
}

// upper is the longest duration of a bucket.
func upper(i int) time.Duration {
	if i < 2*precision {
		return time.Duration(i)
	}
	doublings := i/precision - 1
	return time.Duration(uint64(i-doublings*precision+1)<<doublings - 1)
}
