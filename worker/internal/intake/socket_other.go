//go:build !linux

package intake

import "net"

// A Socket is a listening socket. There is no fleet on this system and no master,
// so it accepts whatever comes.
type Socket struct {
	Listener
	gate *Gate
}

// New takes a listener of package net over.
func New(inner Listener, terms Terms) (*Socket, error) { return &Socket{inner, terms.Gate}, nil }

// Wake does nothing: nothing is waited for but connections.
func (s *Socket) Wake() {}

// Accept returns the next connection, for which the gate has reserved room.
func (s *Socket) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err == nil {
		s.gate.Reserve(true)
	}
	return conn, err
}
