//go:build linux

package supervisor

import (
	"context"
	"net"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// The admin listener belongs to a revision like the sockets of the workers: it
// is bound when the revision is made, answers from when it is accepted, and is
// closed when no worker of it can be wanted any more. So during a rollout the
// old address still answers, and a rollback finds it as it was.

// adminOptions: nobody but the master's user may connect to a unix socket.
var adminOptions = socket.Options{Mode: 0o600, Backlog: 128}

// bindAdmin opens the admin address of the first revision, if it has one.
func (s *Supervisor) bindAdmin(r *revision) error {
	if r.config.Admin.Bind == "" {
		return nil
	}
	address, err := socket.Parse(r.config.Admin.Bind)
	if err != nil {
		return err
	}
	r.admin, err = socket.Open([]socket.Address{address}, adminOptions)
	return err
}

// heldAdmin are the admin listeners there are.
func (s *Supervisor) heldAdmin() (held []*socket.Set) {
	for _, other := range s.revisions {
		held = append(held, other.admin)
	}
	return held
}

// openAdmin answers on the admin listener of the revision.
func (s *Supervisor) openAdmin(r *revision) {
	for i, fd := range r.admin.Fds(0) {
		rights := admin.See
		if r.config.Admin.Actions {
			rights = admin.Act
		}
		if e := s.endpoints[fd]; e != nil {
			e.Grant(rights)
			continue
		}
		listener, err := listenAdmin(r.admin, fd)
		if err != nil {
			s.log.Error("cannot open the admin listener", zap.Error(err))
			continue
		}
		if s.admin == nil {
			s.admin, s.endpoints = admin.New(s, zap.NewStdLog(s.log)), map[int]*admin.Endpoint{}
		}
		s.endpoints[fd] = s.admin.Serve(listener, rights)
		s.log.Info("admin listener", zap.String("url", r.admin.URLs()[i]))
	}
}

// listenAdmin makes a listener of the socket.
func listenAdmin(set *socket.Set, fd int) (net.Listener, error) {
	if err := set.Listen(); err != nil {
		return nil, err
	}
	return listenerOf(fd)
}

// closeAdmin closes those of the sockets that no revision has any more.
func (s *Supervisor) closeAdmin(sockets *socket.Set) {
	for _, other := range s.revisions {
		sockets = sockets.Without(other.admin)
	}
	for _, fd := range sockets.Fds(0) {
		if e := s.endpoints[fd]; e != nil {
			e.Close()
			delete(s.endpoints, fd)
		}
	}
	if err := sockets.Close(); err != nil {
		s.log.Warn("cannot close the admin listener", zap.Error(err))
	}
}

// closeDoors has nobody answered any more on the control socket and the admin
// listeners: who comes waits in their queues. It calls then, on the loop, when
// those have their answers who were being answered, or soon.
func (s *Supervisor) closeDoors(then func()) {
	var ended []<-chan struct{}
	for fd, e := range s.endpoints {
		ended = append(ended, e.Close())
		s.endpoints[fd] = nil
	}
	server := s.controls.server
	if c := s.controls.controlSocket; c != nil {
		c.listener.Close()
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		defer cancel()
		if server != nil {
			server.Shutdown(ctx)
		}
		for _, over := range ended {
			select {
			case <-over:
			case <-ctx.Done():
			}
		}
		s.loop.Report(then)
	}()
}

// openDoors undoes closeDoors.
func (s *Supervisor) openDoors() {
	for _, r := range s.revisions {
		for _, fd := range r.admin.Fds(0) {
			if e, was := s.endpoints[fd]; was && e == nil {
				s.openAdmin(r)
			}
		}
	}
	s.openAdmin(s.current) // whose rights count where they share an address
	c := s.controls.controlSocket
	if c == nil || s.controls.server == nil {
		return
	}
	err := s.newControlServer()
	if err == nil {
		err = c.reopen()
	}
	if err != nil {
		s.log.Error("cannot go on with the control socket", zap.Error(err))
		return
	}
	s.controls.serve()
}
