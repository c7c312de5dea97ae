//go:build unix && !linux

package worker

import "net"

// A socket is a listening socket. There is no fleet on this system and no master,
// so it accepts whatever comes.
type socket struct {
	streamListener
	gate *gate
	wake chan struct{}
	warn func(format string, args ...any)
}

func newSocket(inner streamListener) (*socket, error) {
	return &socket{streamListener: inner, wake: make(chan struct{}, 1)}, nil
}

func (s *socket) join(p *process, _ func() bool) { s.gate = &p.gate }

func (s *socket) accept() (net.Conn, error) {
	conn, err := s.Accept()
	if err == nil {
		s.gate.reserve(true)
	}
	return conn, err
}
