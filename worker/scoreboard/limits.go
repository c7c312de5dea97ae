package scoreboard

import (
	"math"
	"time"
)

// Limits are the times after which a request is to be ended. Zero is no limit.
type Limits struct {
	Timeout time.Duration // without progress, before the response has begun
	Stream  time.Duration // without progress, once it has begun
	Upgrade time.Duration // without progress, once the connection is upgraded
	Request time.Duration // from beginning to end
}

// Never is the time at which a request is due that has no limit.
const Never = math.MaxInt64

// Due returns when the request in a slot is to be ended as things are, in [Monotonic]
// nanoseconds, or [Never]. The worker ends it then; where it is still there some time
// later, the master replaces the worker. What the slot says may be anything.
func (l *Limits) Due(s Slot) int64 {
	idle := l.Timeout
	switch {
	case s.Flags&Upgraded != 0:
		idle = l.Upgrade
	case s.Flags&Streaming != 0:
		idle = l.Stream
	}
	return min(after(s.Progress, idle), after(s.Start, l.Request))
}

// Shortest returns after how long a request that begins now can be due at the earliest, 0
// if it never is.
func (l *Limits) Shortest() time.Duration {
	least := time.Duration(0)
	for _, d := range []time.Duration{l.Timeout, l.Stream, l.Upgrade, l.Request} {
		if d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// after adds a limit to a time.
func after(start int64, limit time.Duration) int64 {
	if limit <= 0 || start < 0 || start > Never-int64(limit) {
		return Never
	}
	return start + int64(limit)
}
