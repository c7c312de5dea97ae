//go:build linux

package control

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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

// peer is the process at the other end of a unix socket: of an accepted
// connection the one that connected, of a dialled one the one that listens.
type peer struct {
	uid int
	// pid is its id as this process sees it; 0: this process cannot see it, as it
	// lives in another pid namespace; -1: the system does not say.
	pid int
}

// peerOf is the other end of a connection.
func peerOf(c *net.UnixConn) (peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var p peer
	var failed error
	if err := raw.Control(func(fd uintptr) { p, failed = credentials(int(fd)) }); err != nil {
		return peer{}, err
	}
	return p, failed
}

// near says whether the process lives in the pid namespace of this one. It cannot
// be seen from a sibling of that namespace, and from an ancestor, where it has
// one id more than those who live there. Who it is that listens is told by
// nothing else: abstract addresses belong to the network namespace, which
// several containers may share, and so may a folder. What /proc does not tell is
// no reason to doubt.
func (p peer) near() bool {
	return p.pid != 0 && (levels("self") != 1 || levels(strconv.Itoa(p.pid)) <= 1)
}

// levels is in how many pid namespaces a process is seen, from the one whose
// /proc is mounted here down to its own; 0: that cannot be known.
func levels(process string) int {
	text, err := os.ReadFile("/proc/" + process + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return len(strings.Fields(ids))
		}
	}
	return 0
}

// PIDNamespace is the id of this process's pid namespace (pid_namespaces(7)), of
// which no two on one machine are the same; "": the system has none or does not
// say. It tells whether two processes that cannot see each other are of one
// container.
func PIDNamespace() string {
	link, err := os.Readlink("/proc/self/ns/pid") // pid:[4026531836]
	if err != nil {
		return ""
	}
	return strings.Trim(link, "pid:[]")
}

// credentials is the other end of a unix socket, by unix(7), SO_PEERCRED.
func credentials(fd int) (peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return peer{}, err
	}
	return peer{uid: int(cred.Uid), pid: int(cred.Pid)}, nil
}
