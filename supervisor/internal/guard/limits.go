package guard

import (
	"math"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// Limits are the times of a worker and its requests after which something is wrong;
// 0: no limit.
type Limits struct {
	Timeout time.Duration // without progress, before the response has begun
	Stream  time.Duration // the same from then on
	Upgrade time.Duration // the same on an upgraded connection
	Request time.Duration // of a whole request

	Watchdog time.Duration // without a sign of life
}

// shortest is the earliest that a request which starts now can be due; 0: never.
func (l Limits) shortest() (least time.Duration) {
	for _, d := range []time.Duration{l.Timeout, l.Stream, l.Upgrade, l.Request} {
		if d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// due is when the request in a slot is due, on the board's clock;
// math.MaxInt64: never. What is on the board may be anything.
func (l Limits) due(s scoreboard.Slot) int64 {
	idle := l.Timeout
	switch {
	case s.Flags&scoreboard.Upgraded != 0:
		idle = l.Upgrade
	case s.Flags&scoreboard.Streaming != 0:
		idle = l.Stream
	}
	return min(after(s.Progress, idle), after(s.Start, l.Request))
}

// after adds a limit to a time.
func after(start int64, limit time.Duration) int64 {
	if limit == 0 || start < 0 || start > math.MaxInt64-int64(limit) {
		return math.MaxInt64
	}
	return start + int64(limit)
}
