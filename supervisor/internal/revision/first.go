//go:build linux

package revision

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// How long a master that starts waits for an address that another process has, and
// how often it tries. The workers of a master that was killed die with it, and each
// keeps the address until its memory is freed, which takes a second for gigabytes.
const (
	takenTime  = 5 * time.Second
	takenRetry = 50 * time.Millisecond
)

// First makes the first revision of a master, before there is anything to keep running,
// with what keeper finds that was passed to the process of this environment. It waits
// for nobody once the context is done, as far as that is up to it.
func First(ctx context.Context, c *config.Config, environ []string, keeper *socket.Keeper, log *zap.Logger) (*Revision, error) {
	r, err := Resolve(c)
	if err != nil {
		return nil, err
	}
	r.Number = 1
	if err := r.permitted(); err != nil {
		return nil, err
	}
	if err := r.openTLS(); err != nil {
		return nil, err
	}
	options := r.SocketOptions()
	options.Again = waitWhileTaken(ctx, log)
	r.Sockets, err = keeper.First(environ, options, func(passed *socket.Set) (socket.Addresses, error) {
		return r.Addresses(passed, FirstSlots(r.Workers)...)
	})
	if err == nil {
		r.Admin, err = endpoints.BindAdmin(c)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close gives back what the first revision has, before anybody else has it.
func (r *Revision) Close() {
	r.CloseTLS()
	for _, sockets := range []*socket.Set{r.Sockets, r.Admin} {
		sockets.Close()
	}
}

// waitWhileTaken returns what decides whether a taken address is tried again: for
// some seconds in all, until the context is done.
func waitWhileTaken(ctx context.Context, log *zap.Logger) func(*socket.Error) bool {
	var until time.Time
	return func(e *socket.Error) bool {
		now := time.Now()
		if until.IsZero() {
			until = now.Add(takenTime)
			log.Warn("an address is in use by another process, trying again", zap.String("bind", e.Address), zap.Duration("for", takenTime))
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(takenRetry):
			return now.Before(until)
		}
	}
}
