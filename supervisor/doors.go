//go:build linux

package supervisor

import (
	"context"

	"go.uber.org/zap"
)

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
		s.ask(context.Background(), then) // else the master has ended
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
