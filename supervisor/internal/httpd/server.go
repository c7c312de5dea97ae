package httpd

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// grace is what a client has at least for sending its request, or for taking some
// of its answer, before it may have to make room for another. It bounds how often
// the places change hands, so that who asks at once is answered also while somebody
// connects again and again.
const grace = 50 * time.Millisecond

// Options are what a server is made of. The zero value of a time is no limit.
type Options struct {
	Handler       http.Handler
	Connections   int           // over all listeners; more wait for one of them to go
	HeaderBytes   int           // of a request; net/http allows 4096 more
	HeaderTimeout time.Duration // for the header of a request
	ReadTimeout   time.Duration // the same, body included
	WriteTimeout  time.Duration // from the end of the header to that of the answer
	IdleTimeout   time.Duration // between the requests of a connection; negative: there is one request on each
	Log           *log.Logger   // of what goes wrong
}

// Server answers on listeners. It holds no timer and wakes nobody while no client
// is connected.
type Server struct {
	http   http.Server
	places int
	accept sync.WaitGroup // listeners from which connections may still come

	mu        sync.Mutex // guards what follows, and what its connections say
	changed   sync.Cond  // of mu: a place may be free
	conns     map[*conn]bool
	listeners map[net.Listener]bool
	closed    bool
	none      chan struct{} // closed when nobody is being answered or may be about to ask; nil: nobody waits for it
}

// New returns a server without listeners.
func New(o Options) *Server {
	s := &Server{places: o.Connections, conns: map[*conn]bool{}, listeners: map[net.Listener]bool{}}
	s.changed.L = &s.mu
	s.http = http.Server{
		Handler: attended(o.Handler), ErrorLog: o.Log, MaxHeaderBytes: o.HeaderBytes,
		ReadHeaderTimeout: o.HeaderTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, IdleTimeout: max(o.IdleTimeout, 0),
		ConnContext: withConn, ConnState: s.track,
	}
	if o.IdleTimeout < 0 {
		s.http.SetKeepAlivesEnabled(false)
	}
	return s
}

// Serve answers on a listener, which it takes over, until that or the server is
// closed.
func (s *Server) Serve(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		l.Close()
		return
	}
	s.listeners[l] = true
	s.accept.Go(func() {
		err := s.http.Serve(&entrance{l, s})
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) && s.http.ErrorLog != nil {
			s.http.ErrorLog.Printf("nobody is heard at %v any more: %v", l.Addr(), err)
		}
	})
}

// Close closes the listeners. Those who have connected may still ask.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for l := range s.listeners {
		l.Close()
	}
	s.changed.Broadcast()
}

// Shutdown closes the listeners and lets requests end that are being answered,
// until the context is over. Those that have only just come are answered, too.
func (s *Server) Shutdown(ctx context.Context) {
	s.Close()
	accepted := make(chan struct{})
	go func() {
		s.accept.Wait()
		close(accepted)
	}()
	select {
	case <-accepted:
	case <-ctx.Done():
	}
	select {
	case <-s.answered():
	case <-ctx.Done():
	}
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
}

// answered is closed when nobody is being answered, or may be about to ask.
func (s *Server) answered() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	none := make(chan struct{})
	s.none = none
	s.tellNone()
	return none
}

func (s *Server) tellNone() {
	for c := range s.conns {
		if c.busy {
			return
		}
	}
	if s.none != nil {
		close(s.none)
		s.none = nil
	}
}

// track is the ConnState of net/http.
func (s *Server) track(nc net.Conn, state http.ConnState) {
	c := nc.(*conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.busy = state == http.StateNew || state == http.StateActive
	switch {
	case c.busy:
		c.becomeLocked(asking)
	case state == http.StateIdle:
		c.becomeLocked(idle)
	}
	if !c.busy {
		s.tellNone()
	}
}
