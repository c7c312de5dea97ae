//go:build linux

package supervisor

import (
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/tally"
)

// linesDropped are all lines of the access log that were to be written and are not:
// those that workers dropped, and those that the master lost or refused.
func (s *Supervisor) linesDropped() uint64 {
	n := s.tally.Total().Counters.LogDropped + s.dropped.before
	if s.access != nil {
		n += s.access.Lost()
	}
	return n
}

// droppedPause is the least time between two lines about dropped ones.
const droppedPause = time.Minute

// dropped is what the log has said about the lines of the access log that workers
// dropped. They are seen when the boards are read for another reason.
type dropped struct {
	said   uint64    `state:"-"` // of the total, so many
	at     time.Time `state:"-"`
	before uint64    `state:"access_lost"` // lines that access logs lost which are closed by now
}

// tell says how many were dropped since it was last said.
func (d *dropped) tell(log *zap.Logger, t *tally.Tally, now time.Time) {
	total := t.Total().Counters.LogDropped
	if total == d.said || !d.at.IsZero() && now.Sub(d.at) < droppedPause {
		return
	}
	log.Warn("workers dropped lines of the access log", zap.Uint64("lines", total-d.said),
		zap.String("hint", "what reads log.access_file does not keep up: a slow disk, or a pipe or terminal that nobody reads; or one worker writes more than is its due"))
	d.said, d.at = total, now
}
