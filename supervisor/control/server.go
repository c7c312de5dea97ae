package control

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

// What one client can make the master hold.
const (
	maxConnections = 64
	maxHeader      = 8 << 10 // bytes
	maxBody        = 64 << 10
	headerTime     = 5 * time.Second
	transferTime   = 10 * time.Second // to send a body, or to take an answer
)

// Server answers on control sockets. It holds no timer and wakes nobody while
// no client is connected.
type Server struct {
	http   http.Server
	active Active
	accept sync.WaitGroup // those who accept

	mu        sync.Mutex // guards what follows
	listeners []*net.UnixListener
	slots     chan struct{} // one for each connection
}

// NewServer makes a server of a handler. Its troubles are logged, which are of
// no consequence to the master.
func NewServer(h http.Handler, troubles *log.Logger) *Server {
	s := &Server{slots: make(chan struct{}, maxConnections)}
	s.http = http.Server{
		Handler: h, ErrorLog: troubles,
		ReadHeaderTimeout: headerTime, MaxHeaderBytes: maxHeader,
		ConnState: s.active.Track,
	}
	s.http.SetKeepAlivesEnabled(false)
	return s
}

// Serve answers on a listener until that is closed or the server is shut down.
// A server may have several.
func (s *Server) Serve(l *net.UnixListener) {
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.accept.Add(1)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.listeners = slices.DeleteFunc(s.listeners, func(x *net.UnixListener) bool { return x == l })
		s.accept.Done()
	}()
	s.http.Serve(&guarded{l, s.slots}) // the error says that it was closed
}

// Shutdown closes the listeners and lets requests end that are being answered,
// until the context is over. Those that have only just come are answered, too.
func (s *Server) Shutdown(ctx context.Context) {
	s.mu.Lock()
	for _, l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()
	accepted := make(chan struct{})
	go func() {
		s.accept.Wait()
		close(accepted)
	}()
	select {
	case <-accepted:
	case <-ctx.Done():
	}
	s.active.Wait(ctx)
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
}

// guarded accepts only root and the user of this process, and so many at a time.
type guarded struct {
	*net.UnixListener
	slots chan struct{}
}

func (g *guarded) Accept() (net.Conn, error) {
	for {
		g.slots <- struct{}{}
		c, err := g.AcceptUnix()
		if err != nil {
			<-g.slots
			return nil, err
		}
		who, err := peerOf(c)
		if err == nil && (who.uid == 0 || who.uid == os.Geteuid()) {
			return &conn{UnixConn: c, slots: g.slots}, nil
		}
		c.Close() // unheard: whoever it is must not be able to keep others out
		<-g.slots
	}
}

// conn gives its slot back when it is closed, which net/http does once or more.
type conn struct {
	*net.UnixConn
	slots chan struct{}
	once  sync.Once
}

func (c *conn) Close() error {
	err := c.UnixConn.Close()
	c.once.Do(func() { <-c.slots })
	return err
}
