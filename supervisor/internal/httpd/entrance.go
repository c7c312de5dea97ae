package httpd

import (
	"net"
	"time"
)

// entrance is a listener whose connections have a place.
type entrance struct {
	net.Listener
	server *Server
}

// Accept accepts first and makes room then, so that nobody goes before another
// comes.
func (e *entrance) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return e.server.admit(c), nil
}

// admit waits for a place. At the end of the server the last to come need none.
func (s *Server) admit(nc net.Conn) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) >= s.places && !s.closed {
		after := s.makeRoom(time.Now())
		if after == 0 {
			break
		}
		look := time.AfterFunc(after, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.changed.Broadcast()
		})
		s.changed.Wait()
		look.Stop()
	}
	c := &conn{Conn: nc, server: s, need: asking, since: time.Now()}
	s.conns[c] = true
	return c
}

// makeRoom closes the connection that needs its place the least, or returns after
// how long to look again if all need theirs.
func (s *Server) makeRoom(now time.Time) (after time.Duration) {
	var victim *conn
	var least need
	var oldest time.Time
	after = grace
	for c := range s.conns {
		n, since := c.judged()
		if left := grace - now.Sub(since); n != idle && left > 0 {
			after = min(after, left)
			continue
		}
		if n != working && (victim == nil || n < least || n == least && since.Before(oldest)) {
			victim, least, oldest = c, n, since
		}
	}
	if victim == nil {
		return after
	}
	delete(s.conns, victim)
	victim.Conn.Close()
	return 0
}

// leave gives the place of a connection back.
func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.changed.Broadcast()
	s.tellNone()
}
