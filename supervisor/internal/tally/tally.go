// Package tally adds up what the boards of all workers say into totals of the
// fleet that never go backwards, whatever becomes of the workers and whatever
// they write.
//
// A board counts from its worker's start and ends with it, so a sum over the
// boards there are would fall with every replacement. The [Tally] keeps, for each
// worker and counter, the highest value it believed, and adds what a reading has
// beyond that. What a worker has said once stays in the total when it is gone.
//
// A board is also what a hostile or broken worker wrote. A value that is lower
// than before, or higher than [MaxRate] allows for the worker's age, is left alone,
// and so is the memory of the last one believed: a torn reading costs nothing, since
// the next sound one makes up for it, and a worker that writes nonsense for good just
// stops counting. What one worker can add in its whole life is MaxRate times that life.
//
// The sum of the durations is believed as far as the buckets of the histogram bear
// it out: no less than the lower bounds of what they counted, and no more than the
// upper ones.
//
// Everything is a counter: of the gauges on the board there is no total here. What
// a worker had begun and not finished when it was retired is counted as lost. A
// Tally belongs to one goroutine.
package tally

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// MaxRate is how much any one counter of a worker may grow in a second, on the average
// of its life. It is far above what a process can serve.
const MaxRate = 10_000_000

// perCount is the time that one more takes at MaxRate.
const perCount = time.Second / MaxRate

// Reading is what a board says, or a total of what boards said. The zero value
// says nothing.
type Reading struct {
	// Counters are the counters of the board. Open, which is not a counter, is
	// ignored, and 0 in a total.
	Counters scoreboard.Counters
	// Histogram holds the buckets of the latency histogram, not cumulative. It may
	// be nil, and a total has as many as the longest there was.
	Histogram []uint64
	// Microseconds is the sum of the durations in the histogram.
	Microseconds uint64
}

// Tally holds the totals. The zero value is not usable; see [New].
type Tally struct {
	total        vector[uint64]  `state:",inline"`
	microseconds uint64          `state:"microseconds"`
	heard        bool            `state:"heard"` // some board was ever read
	lost         uint64          `state:"lost"`  // requests that ended with their worker
	workers      map[int]*worker `state:"workers,list=id"`
}

// worker is what is remembered of one that lives.
type worker struct {
	joined       time.Time    `state:"joined"`
	cells        vector[cell] `state:",inline"`
	microseconds uint64       `state:"microseconds"` // of the sum, how much is believed
}

// cell is one counter of one worker.
type cell struct {
	mark uint64 `state:"mark"` // the last value believed
}

// vector is something for each counter and for each bucket. Counters go by name, so
// that one which only one version knows moves none of the others.
type vector[T any] struct {
	counters  map[string]*T `state:"counters"`
	histogram []T           `state:"histogram"`
}

// names are those of counters, in their order.
var names = []string{
	"started", "finished", "accepted", "timeouts", "unslotted", "log_dropped",
	"status_1xx", "status_2xx", "status_3xx", "status_4xx", "status_5xx",
}

// of returns what there is for the place in a reading, at first the zero value.
func (v *vector[T]) of(place int) *T {
	if place >= len(names) {
		place -= len(names)
		if missing := place + 1 - len(v.histogram); missing > 0 {
			v.histogram = append(v.histogram, make([]T, missing)...)
		}
		return &v.histogram[place]
	}
	one := v.counters[names[place]]
	if one == nil {
		one = new(T)
		if v.counters == nil {
			v.counters = make(map[string]*T, len(names))
		}
		v.counters[names[place]] = one
	}
	return one
}

// New returns a Tally of no workers.
func New() *Tally { return &Tally{workers: make(map[int]*worker)} }

// Join makes a worker known, whose board is empty now. The id must never have
// been used before; joining again changes nothing.
func (t *Tally) Join(id int, now time.Time) {
	if t.workers[id] == nil {
		t.workers[id] = &worker{joined: now}
	}
}

// Add adds what the board of a living worker says beyond the readings before. A
// worker that has not joined, or is retired, is ignored.
func (t *Tally) Add(id int, now time.Time, r Reading) {
	w := t.workers[id]
	if w == nil {
		return
	}
	t.heard = true
	// Readings are not exact to the moment, and one of the first may come right after the start.
	plausible := uint64(max(now.Sub(w.joined)+time.Second, 0) / perCount)
	var least, most uint64
	for i, value := range values(r) {
		total, grown := t.total.of(i), w.cells.of(i).grow(value, plausible)
		// A total that began anew would have gone backwards.
		more := min(grown, math.MaxUint64-*total)
		*total += more
		if i >= len(names) {
			low, high := bounds(i - len(names))
			least, most = sum(least, more, low), sum(most, more, high)
		}
	}
	// What one reading left out, torn from its buckets, is in the range of the next.
	said := min(max(r.Microseconds, w.microseconds+least), w.microseconds+most, math.MaxInt64)
	t.microseconds += min(said-w.microseconds, math.MaxUint64-t.microseconds)
	w.microseconds = said
}

// sum is s + n*each, and math.MaxInt64 where that is too much.
func sum(s, n, each uint64) uint64 {
	over, product := bits.Mul64(n, each)
	if over > 0 || product > math.MaxInt64-s {
		return math.MaxInt64
	}
	return s + product
}

// bounds are the shortest and the longest duration that a bucket stands for, in
// microseconds. What is in the last bucket took hours: it counts as up to twice its
// lower bound.
func bounds(bucket int) (low, high uint64) {
	low = uint64(scoreboard.BucketBound(bucket - 1).Microseconds())
	if high = uint64(scoreboard.BucketBound(bucket).Microseconds()) + 1; high == 1 {
		high = 2 * low
	}
	return low, high
}

// Retire adds the last reading of a worker that is gone, which may be the zero one
// if there is none, and forgets the worker. It returns how many requests the worker
// took along: those that it had begun and not finished, as far as it is believed.
func (t *Tally) Retire(id int, now time.Time, last Reading) (lost uint64) {
	t.Add(id, now, last)
	if w := t.workers[id]; w != nil {
		// In the order of names.
		if started, finished := w.cells.of(0).mark, w.cells.of(1).mark; started > finished {
			lost = started - finished
		}
	}
	t.lost += min(lost, math.MaxUint64-t.lost)
	delete(t.workers, id)
	return lost
}

// Forget forgets a worker that has no board to read.
func (t *Tally) Forget(id int) { delete(t.workers, id) }

// Heard says whether any board was ever read: if not, the totals say nothing.
// A total that a version wrote which did not note it says so as well.
func (t *Tally) Heard() bool { return t.heard || t.Total().Counters.Started > 0 }

// Lost returns how many requests retired workers took along.
func (t *Tally) Lost() uint64 { return t.lost }

// Total returns the totals.
func (t *Tally) Total() Reading {
	var r Reading
	for i, field := range counters(&r.Counters) {
		if counted := t.total.counters[names[i]]; counted != nil {
			*field = *counted
		}
	}
	r.Histogram, r.Microseconds = slices.Clone(t.total.histogram), t.microseconds
	return r
}

// grow takes a value that was read and returns how much more it is, 0 if it is
// less, or more than is plausible.
func (c *cell) grow(value, plausible uint64) uint64 {
	if value < c.mark || value > plausible {
		return 0
	}
	more := value - c.mark
	c.mark = value
	return more
}

// values returns a reading as one vector.
func values(r Reading) []uint64 {
	fields := counters(&r.Counters)
	vector := make([]uint64, 0, len(fields)+len(r.Histogram))
	for _, f := range fields {
		vector = append(vector, *f)
	}
	return slices.Concat(vector, r.Histogram)
}

// counters are the fields that are counters, in the order of the vector.
func counters(c *scoreboard.Counters) []*uint64 {
	fields := []*uint64{&c.Started, &c.Finished, &c.Accepted, &c.Timeouts, &c.Unslotted, &c.LogDropped}
	for i := range c.Status {
		fields = append(fields, &c.Status[i])
	}
	return fields
}
