//go:build linux

package supervisor

import (
	"errors"
	"os"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// ErrStopped says that the master was told to stop before it had all that it needs.
var ErrStopped = errors.New("stopped before the first workers were started")

// How long a master that starts waits for an address that another process has, and
// how often it tries. The workers of a master that was killed die with it, and each
// keeps the address until its memory is freed, which takes a second for gigabytes.
const (
	takenTime  = 5 * time.Second
	takenRetry = 50 * time.Millisecond
)

// firstUnlessStopped makes the first revision. A name server or a file server that
// does not answer is not waited for when a signal says to stop; signals that say
// something else are for the loop.
func (s *Supervisor) firstUnlessStopped(c *config.Config) (*revision.Revision, error) {
	var r *revision.Revision
	var err error
	done, quit := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		r, err = s.first(c, quit)
	}()
	var later []os.Signal
	for {
		select {
		case <-done:
			for _, sig := range later {
				s.signals.C <- sig
			}
			return r, err
		case sig := <-s.signals.C:
			if s.stops(sig) {
				close(quit)
				s.abandonFirst(done, &r)
				return nil, ErrStopped
			}
			if len(later) < cap(s.signals.C)/2 { // there is room for those that come meanwhile
				later = append(later, sig)
			}
		}
	}
}

// abandonFirst gives back what the first revision has, if it is made soon.
func (s *Supervisor) abandonFirst(done <-chan struct{}, r **revision.Revision) {
	select {
	case <-done:
		if *r != nil {
			s.discard(*r)
		}
	case <-time.After(endpoints.AnswerTime):
	}
}

// stops says whether a signal is one that ends the master.
func (s *Supervisor) stops(sig os.Signal) bool {
	return slices.Contains([]os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT}, sig) ||
		sig == os.Signal(syscall.SIGHUP) && s.signals.FromTerminal(sig) && !s.signals.OutlivesTerminal()
}

// first makes the first revision, before there is anything to keep running. It
// waits for nobody once quit is closed, as far as that is up to it.
func (s *Supervisor) first(c *config.Config, quit <-chan struct{}) (r *revision.Revision, err error) {
	if r, err = revision.Resolve(c); err != nil {
		return nil, err
	}
	r.Number = 1
	if err := r.OpenTLS(); err != nil {
		return nil, err
	}
	r.Sockets, err = s.bindFirst(r, quit)
	if err == nil {
		r.Admin, err = endpoints.BindAdmin(c)
	}
	if err == nil {
		err = s.files.OpenAccess(c.Log.AccessFile)
	}
	if err != nil {
		s.discard(r)
		return nil, err
	}
	return r, nil
}

// bindFirst opens the sockets of the first revision.
func (s *Supervisor) bindFirst(r *revision.Revision, quit <-chan struct{}) (*socket.Set, error) {
	options := r.SocketOptions()
	options.Again = s.waitWhileTaken(quit)
	return s.sockets.First(s.options.Environ, options, r.Addresses)
}

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
