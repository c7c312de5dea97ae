//go:build linux

package control

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/httpd"
)

// What one client can make the master hold.
const (
	maxConnections = 64
	maxHeader      = 8 << 10 // bytes
	maxBody        = 64 << 10
	headerTime     = 5 * time.Second
	transferTime   = 10 * time.Second // to send a body, or to take an answer
)

// Server answers on control sockets. It holds no timer and wakes nobody while no
// client is connected.
type Server struct{ http *httpd.Server }

// NewServer makes a server of a handler. Its troubles are logged, which are of
// no consequence to the master.
func NewServer(h http.Handler, troubles *log.Logger) *Server {
	return &Server{httpd.New(httpd.Options{
		Handler: h, Connections: maxConnections, HeaderBytes: maxHeader, HeaderTimeout: headerTime, IdleTimeout: -1, Log: troubles,
	})}
}

// Serve begins to answer on a listener, until that is closed or the server is shut
// down. A server may have several.
func (s *Server) Serve(l *net.UnixListener) { s.http.Serve(&guarded{l}) }

// Shutdown closes the listeners and lets requests end that are being answered,
// until the context is over. Those that have only just come are answered, too.
func (s *Server) Shutdown(ctx context.Context) { s.http.Shutdown(ctx) }

// guarded accepts only root and the user of this process.
type guarded struct{ *net.UnixListener }

func (g *guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.AcceptUnix()
		if err != nil {
			return nil, err
		}
		who, err := peerOf(c)
		if err == nil && (who.uid == 0 || who.uid == os.Geteuid()) {
			return c, nil
		}
		c.Close() // unheard: whoever it is must not be able to keep others out
	}
}
