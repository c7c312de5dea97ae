//go:build linux

package supervisor

import (
	"errors"
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/pidfile"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// A binding is what a revision has to bind, and what has to be looked at whether
// it could be had when the revision is accepted. The loop makes it and takes the
// result; in between nothing of it belongs to the loop.
type binding struct {
	sockets *socket.Plan   // nil: those of systemd
	free    chan struct{}  // closed when the paths of sockets are removed that were closed before
	admin   *socket.Plan   // nil: none
	pidfile string         // "": none, or the one that is held
	control *config.Config // of the control socket; nil: where it is, or wherever there is room
}

// freeTime is how long the paths of sockets that were closed are waited for.
const freeTime = 5 * time.Second

// planBinding plans what a revision has to bind.
func (s *Supervisor) planBinding(r *revision) (*binding, error) {
	b := &binding{free: make(chan struct{})}
	s.sockets.Do(func() {}, func() { close(b.free) })
	if s.sockets.Passed() == nil {
		addresses, err := r.addresses()
		if err != nil {
			return nil, err
		}
		b.sockets = socket.NewPlan(addresses, r.socketOptions(), s.held()...)
	}
	var held []*socket.Set
	for _, other := range s.revisions.all {
		held = append(held, other.admin)
	}
	var err error
	if b.admin, err = endpoints.PlanAdmin(r.config, held...); err != nil {
		return nil, err
	}
	if r.config.Control.Socket != "auto" && !s.endpoints.Controls(r.config) {
		b.control = r.config
	}
	if s.files.PIDPath() != r.config.PIDFile {
		b.pidfile = r.config.PIDFile
	}
	return b, nil
}

// bind does what may take long. After an error nothing is bound.
func (b *binding) bind(environ []string) error {
	select {
	case <-b.free:
	case <-time.After(freeTime): // their file system does not answer; others do
	}
	if b.control != nil {
		c, err := endpoints.BindControl(b.control, environ)
		if err := errors.Join(err, c.Close()); err != nil {
			return err
		}
	}
	p, err := pidfile.Open(b.pidfile)
	p.Close()
	if err == nil && b.sockets != nil {
		err = b.sockets.Bind()
	}
	if err == nil && b.admin != nil {
		err = b.admin.Bind()
	}
	if err != nil {
		b.close() // why it failed is what the user has to know
	}
	return err
}

// take gives the revision its sockets, and its workers an access log to write to,
// whose file is opened when the revision is accepted. Nothing is taken if a socket
// of another revision is gone that this one was to have.
func (b *binding) take(s *Supervisor, r *revision) (taken bool, err error) {
	sockets, admin := s.sockets.Passed(), (*socket.Set)(nil)
	if b.sockets != nil {
		sockets = b.sockets.Take()
	}
	if b.admin != nil {
		admin = b.admin.Take()
	}
	if sockets == nil || b.admin != nil && admin == nil {
		return false, nil
	}
	if r.config.Log.AccessFile != "" {
		if err := s.files.MakeAccess(); err != nil {
			return false, err
		}
	}
	r.sockets, r.admin, r.number = sockets, admin, s.revisions.last+1
	return true, nil
}

// close gives back what was bound and not taken.
func (b *binding) close() error {
	var errs []error
	for _, plan := range []*socket.Plan{b.sockets, b.admin} {
		if plan != nil {
			errs = append(errs, plan.Close())
		}
	}
	return errors.Join(errs...)
}
