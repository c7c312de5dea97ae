package guard

import (
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// Limits are the times of a worker and its requests, and the number of failures, after
// which something is wrong; 0: no limit.
type Limits struct {
	scoreboard.Limits
	Watchdog time.Duration // without a sign of life
	Failures int           // in a row
}
