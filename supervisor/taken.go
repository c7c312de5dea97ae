//go:build linux

package supervisor

import (
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// How long a master that starts waits for an address that another process has, and
// how often it tries. The workers of a master that was killed die with it, and each
// keeps the address until its memory is freed, which takes a second for gigabytes.
const (
	takenTime  = 5 * time.Second
	takenRetry = 50 * time.Millisecond
)

// waitWhileTaken returns what decides whether a taken address is tried again: for
// some seconds in all, until quit is closed.
func (s *Supervisor) waitWhileTaken(quit <-chan struct{}) func(*socket.Error) bool {
	var until time.Time
	return func(e *socket.Error) bool {
		now := time.Now()
		if until.IsZero() {
			until = now.Add(takenTime)
			s.log.Warn("an address is in use by another process, trying again", zap.String("bind", e.Address), zap.Duration("for", takenTime))
		}
		select {
		case <-quit:
			return false
		case <-time.After(takenRetry):
			return now.Before(until)
		}
	}
}
