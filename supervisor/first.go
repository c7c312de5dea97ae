//go:build linux

package supervisor

import (
	"errors"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
)

// ErrStopped says that the master was told to stop before it had all that it needs.
var ErrStopped = errors.New("stopped before the first workers were started")

// firstUnlessStopped makes the first revision. A name server or a file server that
// does not answer is not waited for when a signal says to stop; signals that say
// something else are for the loop.
func (s *Supervisor) firstUnlessStopped(c *config.Config) (*revision, error) {
	var r *revision
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
				s.signals <- sig
			}
			return r, err
		case sig := <-s.signals:
			if s.stops(sig) {
				close(quit)
				s.abandonFirst(done, &r)
				return nil, ErrStopped
			}
			if len(later) < cap(s.signals)/2 { // there is room for those that come meanwhile
				later = append(later, sig)
			}
		}
	}
}

// abandonFirst gives back what the first revision has, if it is made soon.
func (s *Supervisor) abandonFirst(done <-chan struct{}, r **revision) {
	select {
	case <-done:
		if *r != nil {
			s.discard(*r)
		}
	case <-time.After(answerTime):
	}
}

// stops says whether a signal is one that ends the master.
func (s *Supervisor) stops(sig os.Signal) bool {
	return slices.Contains([]os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT}, sig) ||
		sig == os.Signal(syscall.SIGHUP) && s.hands.byTerminal(s.terminal, sig) && !s.terminal.Forgives()
}

// first makes the first revision, before there is anything to keep running. It
// waits for nobody once quit is closed, as far as that is up to it.
func (s *Supervisor) first(c *config.Config, quit <-chan struct{}) (r *revision, err error) {
	if r, err = resolve(c); err != nil {
		return nil, err
	}
	r.number = 1
	if err := r.openTLS(); err != nil {
		return nil, err
	}
	r.sockets, err = s.bindFirst(r, quit)
	if err == nil {
		err = s.bindAdmin(r)
	}
	if path := c.Log.AccessFile; path != "" && err == nil {
		if s.access, err = accesslog.New(s.accessTrouble); err == nil {
			err = s.access.Move(path)
		}
	}
	if err != nil {
		s.discard(r)
		return nil, err
	}
	return r, nil
}
