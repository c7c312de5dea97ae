//go:build linux

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// answerTime is how long those who are being answered may keep an ended master.
const answerTime = 500 * time.Millisecond

// controlQueue is how many clients may wait to be accepted.
const controlQueue = 64

// controls are where the master is asked and told things: the control socket, and
// the server on it.
type controls struct {
	server         *control.Server `state:"-"`
	*controlSocket `state:"control"`
}

// controlSocket is one control socket; nil: there is none.
type controlSocket struct {
	place    place             `state:",inline"`
	address  string            `state:"address"`
	sockets  *socket.Set       `state:"set"`   // nil where the address is an abstract one
	spare    int               `state:"fd,fd"` // a copy of the listener's descriptor where it is; else -1
	listener *net.UnixListener `state:"-"`
	taken    error             `state:"-"` // why it is not at the address of its name; nil: it is
}

// place is where a control socket is wanted.
type place struct {
	socket string `state:"socket"` // the key
	name   string `state:"name"`   // of the master, where it matters
}

func placeOf(c *config.Config) place {
	p := place{socket: c.Control.Socket}
	if p.socket == "auto" {
		p.name = c.Name
	}
	return p
}

// openControl makes the control socket with which the master starts. Only one at a
// configured path has to succeed.
func (s *Supervisor) openControl(c *config.Config) (err error) {
	if err := s.newControlServer(); err != nil {
		return err
	}
	s.controls.controlSocket, err = openSocket(placeOf(c), s.options.Environ)
	s.tellSpare(s.controls.controlSocket)
	return s.excuse(c, err)
}

// tellSpare says where the control socket is if that is not where its name says.
func (s *Supervisor) tellSpare(c *controlSocket) {
	if c != nil && c.taken != nil {
		s.log.Warn("the address of the control socket is taken, by another master of this name or by somebody else: it has another one, at which gosuper status and its like find it",
			append(describe(c.taken), zap.String("address", c.address))...)
	}
}

// newControlServer makes the server, which listens nowhere yet.
func (s *Supervisor) newControlServer() error {
	troubles, err := zap.NewStdLogAt(s.log, zap.DebugLevel)
	if err == nil {
		s.controls.server = control.NewServer(control.NewHandler(s), troubles)
	}
	return err
}

// excuse makes a warning of what is wrong with an automatic control socket.
func (s *Supervisor) excuse(c *config.Config, err error) error {
	if err == nil || c.Control.Socket != "auto" {
		return err
	}
	s.log.Warn("no control socket: gosuper status and its like cannot reach this master; say where it may be, --control PATH, or off", describe(err)...)
	return nil
}

// moveControl answers at the place of another configuration, where a socket was
// opened, before it no longer answers at the old one.
func (s *Supervisor) moveControl(c *config.Config, opened *controlSocket, err error) error {
	if err := s.excuse(c, err); err != nil {
		return err
	}
	if opened == nil && c.Control.Socket != "off" {
		return nil // better the old place than none
	}
	s.controls.controlSocket.close()
	s.controls.controlSocket = opened
	s.tellSpare(opened)
	s.controls.serve()
	return nil
}

// are says whether the control socket is at the place already.
func (c *controls) are(p place, environ []string) bool {
	if c.controlSocket == nil {
		return p.socket == "off"
	}
	return p == c.place || p.socket != "off" && p.addresses(environ)[0] == c.address
}

// serve begins to answer.
func (c *controls) serve() {
	if c.controlSocket != nil {
		c.server.Serve(c.listener)
	}
}

// finish lets those have their answers who are waiting for the end.
func (c *controls) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	c.server.Shutdown(ctx)
}

// addresses are where the socket may be, the best first.
func (p place) addresses(environ []string) []string {
	if p.socket == "auto" {
		home := control.HomeOf(environ)
		return append(home.Addresses(p.name), home.Spare(p.name))
	}
	return []string{p.socket}
}

// openSocket makes the control socket of a place, at the first address where that
// is possible; nil: it is off.
func openSocket(p place, environ []string) (*controlSocket, error) {
	if p.socket == "off" {
		return nil, nil
	}
	var errs []error
	var taken error
	for _, address := range p.addresses(environ) {
		c, err := p.open(address, environ)
		if err == nil {
			c.taken = taken
			return c, nil
		}
		if taken == nil && errors.Is(err, syscall.EADDRINUSE) {
			taken = err
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (p place) open(address string, environ []string) (*controlSocket, error) {
	if address[0] == '@' {
		return bindAbstract(p, address)
	}
	if p.socket == "auto" {
		if err := control.HomeOf(environ).MakeDir(); err != nil {
			return nil, err
		}
	}
	return bindSocket(p, address)
}

// bindSocket makes the socket at a path. Nobody can connect before it listens,
// and by then only its owner may.
func bindSocket(p place, path string) (*controlSocket, error) {
	address, err := socket.Parse("unix:" + path)
	if err != nil {
		return nil, err
	}
	set, err := socket.Open([]socket.Address{address}, socket.Options{Mode: 0o600, Backlog: controlQueue})
	if err != nil {
		return nil, err
	}
	c := &controlSocket{place: p, address: path, sockets: set, spare: -1}
	if err = set.Listen(); err == nil {
		err = c.reopen()
	}
	if err != nil {
		return nil, errors.Join(err, set.Close())
	}
	return c, nil
}

// reopen makes the listener of the descriptor, which stays open beside it: so
// those who wait to be accepted find another server behind it after this one.
func (c *controlSocket) reopen() error {
	fd := c.spare
	if c.sockets.Len() > 0 {
		fd = c.sockets.Fds(0)[0]
	}
	l, err := listenerOf(fd)
	if err == nil {
		c.listener = l.(*net.UnixListener)
	}
	return err
}

// listenerOf makes a listener of a copy of the descriptor.
func listenerOf(fd int) (net.Listener, error) {
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot copy a listening socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "listener")
	defer file.Close()
	return net.FileListener(file)
}

// bindAbstract makes the socket at an address that has no file and hence no
// mode: who connects is looked at all the same.
func bindAbstract(p place, address string) (*controlSocket, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, err
	}
	spare, err := copyOf(l)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &controlSocket{place: p, address: address, spare: spare, listener: l}, nil
}

// copyOf returns a copy of a listener's descriptor.
func copyOf(l *net.UnixListener) (copied int, err error) {
	conn, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	controlErr := conn.Control(func(fd uintptr) { copied, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return copied, errors.Join(controlErr, err)
}

// close removes the socket.
func (c *controlSocket) close() error {
	if c == nil {
		return nil
	}
	if c.spare >= 0 {
		unix.Close(c.spare)
		c.spare = -1
	}
	return errors.Join(c.sockets.Close(), c.listener.Close())
}
