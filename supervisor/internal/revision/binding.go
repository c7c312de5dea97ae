//go:build linux

package revision

import (
	"errors"
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/pidfile"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// Held is what a master holds already. A revision shares it as far as it asks for the
// same.
type Held struct {
	Passed  *socket.Set     // by socket units, which win over bind; nil: nothing was
	Slots   []int           // that the revision will have workers in
	Sockets []*socket.Set   // of other revisions
	Admin   []*socket.Set   // of their admin listeners
	PIDFile string          // its path; "": none
	Control bool            // the control socket is where the revision wants it
	Free    <-chan struct{} // closed when the paths of sockets are removed that were closed before
}

// A Binding is what a revision has to bind, and what has to be looked at whether it
// could be had when the revision is accepted. Whoever owns what is held makes it and
// takes the result; in between nothing of it belongs to him.
type Binding struct {
	revision *Revision
	sockets  *socket.Plan
	free     <-chan struct{}
	admin    *socket.Plan   // nil: none
	pidfile  string         // "": none, or the one that is held
	control  *config.Config // of the control socket; nil: where it is, or wherever there is room
}

// FreeTime is how long the paths of sockets that were closed are waited for.
const FreeTime = 5 * time.Second

// Bind plans what the revision has to bind.
func (r *Revision) Bind(held Held) (*Binding, error) {
	b := &Binding{revision: r, free: held.Free}
	addresses, err := r.Addresses(held.Passed, held.Slots...)
	if err != nil {
		return nil, err
	}
	b.sockets = socket.NewPlan(addresses, r.SocketOptions(), append(held.Sockets, held.Passed)...)
	if b.admin, err = endpoints.PlanAdmin(r.Config, held.Admin...); err != nil {
		return nil, err
	}
	if r.Config.Control.Socket != "auto" && !held.Control {
		b.control = r.Config
	}
	if held.PIDFile != r.Config.PIDFile {
		b.pidfile = r.Config.PIDFile
	}
	return b, nil
}

// Try does what may take long. After an error nothing is bound.
func (b *Binding) Try(environ []string) error {
	select {
	case <-b.free:
	case <-time.After(FreeTime): // their file system does not answer; others do
	}
	if b.control != nil {
		c, err := endpoints.BindControl(b.control, environ)
		if err := errors.Join(err, c.Close()); err != nil {
			return err
		}
	}
	p, err := pidfile.Open(b.pidfile)
	p.Close()
	if err == nil {
		err = b.sockets.Bind()
	}
	if err == nil && b.admin != nil {
		err = b.admin.Bind()
	}
	if err != nil {
		b.Close() // why it failed is what the user has to know
	}
	return err
}

// Take gives the revision its sockets. Nothing is taken if a socket of another revision
// is gone that this one was to have.
func (b *Binding) Take() (taken bool) {
	sockets, admin := b.sockets.Take(), (*socket.Set)(nil)
	if b.admin != nil {
		admin = b.admin.Take()
	}
	if sockets == nil || b.admin != nil && admin == nil {
		return false
	}
	b.revision.Sockets, b.revision.Admin = sockets, admin
	return true
}

// Close gives back what was bound and not taken.
func (b *Binding) Close() error {
	var errs []error
	for _, plan := range []*socket.Plan{b.sockets, b.admin} {
		if plan != nil {
			errs = append(errs, plan.Close())
		}
	}
	return errors.Join(errs...)
}
