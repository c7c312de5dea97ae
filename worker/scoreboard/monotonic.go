package scoreboard

import "time"

// Monotonic returns CLOCK_MONOTONIC in nanoseconds, the clock of the board: on
// Linux the value is the one that every other process reads, to within a few
// microseconds. It is as cheap as time.Since. On other systems, where there are no
// boards, it counts from the start of the process. In a synctest bubble it advances
// with the bubble's clock.
func Monotonic() int64 { return base.ns + int64(time.Since(base.at)) }

// Epoch is the moment at which [Monotonic] was 0: Monotonic() is time.Since(Epoch())
// in nanoseconds.
func Epoch() time.Time { return base.at.Add(-time.Duration(base.ns)) }

// base is one moment read from both clocks. Go's monotonic clock is
// CLOCK_MONOTONIC with an offset of its own (runtime.nanotime, time.startNano), so
// one pair is good for the life of the process.
var base = newBase()

type clockPair struct {
	at time.Time
	ns int64
}
