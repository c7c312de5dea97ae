//go:build linux

package supervisor

import (
	"context"
	"errors"
)

// errEnded is the answer to whoever asks a master that has ended.
var errEnded = errors.New("the master has ended")

// ask has the loop call do, which may read and change all that the loop owns
// but must not wait for anything, and returns when that is done. Any goroutine
// but the loop's own may call it. After an error do was not called and will not
// be.
func (s *Supervisor) ask(ctx context.Context, do func()) error {
	done := make(chan struct{})
	select {
	case s.asks <- func() { defer close(done); do() }:
		<-done
		return nil
	case <-s.ended:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}
