package supervisor

import (
	"errors"
	"os"
	"slices"
	"syscall"
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

// ErrStopped says that the master was told to stop before it had all addresses.
var ErrStopped = errors.New("stopped before the first workers were started")

// waitWhileTaken returns what decides whether a taken address is tried again: for
// some seconds in all, until a signal says to stop.
func (s *Supervisor) waitWhileTaken() func(*socket.Error) bool {
	var until time.Time
	return func(e *socket.Error) bool {
		now := time.Now()
		if until.IsZero() {
			until = now.Add(takenTime)
			s.log.Warn("an address is in use by another process, trying again", zap.String("bind", e.Address), zap.Duration("for", takenTime))
		}
		return now.Before(until) && !s.toldToStop(takenRetry)
	}
}

// toldToStop waits for so long, or until a signal ends it all.
func (s *Supervisor) toldToStop(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for !s.halted {
		select {
		case sig := <-s.signals:
			s.halted = slices.Contains([]os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT}, sig) ||
				sig == os.Signal(syscall.SIGHUP) && s.hands.byTerminal(s.terminal, sig) && !s.terminal.Forgives()
		case <-timer.C:
			return false
		}
	}
	return true
}
