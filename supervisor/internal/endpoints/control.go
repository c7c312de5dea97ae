//go:build linux

package endpoints

import (
	"errors"
	"net"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// controlQueue is how many clients may wait to be accepted.
const controlQueue = 64

// The values of control.socket that are no path.
const (
	automatic = "auto"
	off       = "off"
)

// A ControlSocket is where one control socket is; nil: there is none.
type ControlSocket struct {
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
	if p.socket == automatic {
		p.name = c.Name
	}
	return p
}

// OpenControl makes the control socket with which a master starts, and answers on it
// from [Endpoints.Serve] on. Only one at a configured path has to succeed.
func (e *Endpoints) OpenControl(c *config.Config) (err error) {
	if err := e.newServer(); err != nil {
		return err
	}
	e.control, err = BindControl(c, e.options.Environ)
	e.tellSpare()
	return e.excuse(c, err)
}

// Resume goes on with the control socket of another image of this process, or after a
// pause. It is one of the conveniences: if that cannot be, it is said and there is no
// control socket any more.
func (e *Endpoints) Resume() {
	err := e.newServer()
	if err == nil && e.control != nil {
		err = e.control.reopen()
	}
	if err != nil {
		e.options.Log.Error("cannot go on with the control socket", zap.Error(err))
		e.control.Close()
		e.control = nil
	}
}

// newServer makes the server of the control socket, which listens nowhere yet.
func (e *Endpoints) newServer() error {
	troubles, err := zap.NewStdLogAt(e.options.Log, zap.DebugLevel)
	if err == nil {
		e.server = control.NewServer(control.NewHandler(e.options.Master), troubles)
	}
	return err
}

// Serve begins to answer on the control socket, if there is one.
func (e *Endpoints) Serve() {
	if e.control != nil {
		e.server.Serve(e.control.listener)
	}
}

// ControlIsAt says whether the control socket is where the configuration wants it.
func (e *Endpoints) ControlIsAt(c *config.Config) bool {
	p := placeOf(c)
	if e.control == nil {
		return p.socket == off
	}
	return p == e.control.place || p.socket != off && p.addresses(e.options.Environ)[0] == e.control.address
}

// MoveControl has the control socket be where a configuration wants it that was accepted.
// What cannot be is said, and stays where it was.
func (e *Endpoints) MoveControl(c *config.Config) {
	e.options.Loop.Send(func() loop.Work {
		if e.ControlIsAt(c) {
			return nil
		}
		return func() func() {
			bound, err := BindControl(c, e.options.Environ)
			return func() {
				if err := e.move(c, bound, err); err != nil {
					e.options.Log.Error("cannot change the control socket", hint.Fields(err)...)
				}
			}
		}
	})
}

// move answers at the place of another configuration, where a socket was bound, before it
// no longer answers at the old one. err is why it was not.
func (e *Endpoints) move(c *config.Config, bound *ControlSocket, err error) error {
	if err := e.excuse(c, err); err != nil {
		return err
	}
	if bound == nil && c.Control.Socket != off {
		return nil // better the old place than none
	}
	e.CloseControl()
	e.control = bound
	e.tellSpare()
	e.Serve()
	return nil
}

// CloseControl removes the control socket.
func (e *Endpoints) CloseControl() {
	if e.control != nil {
		e.options.Paths.Close(e.control.sockets)
		e.control.Close()
		e.control = nil
	}
}

// tellSpare says where the control socket is if that is not where its name says.
func (e *Endpoints) tellSpare() {
	if c := e.control; c != nil && c.taken != nil {
		e.options.Log.Warn("the address of the control socket is taken, by another master of this name or by somebody else: it has another one, at which gosuper status and its like find it",
			append(hint.Fields(c.taken), zap.String("address", c.address))...)
	}
}

// excuse makes a warning of what is wrong with an automatic control socket.
func (e *Endpoints) excuse(c *config.Config, err error) error {
	if err == nil || c.Control.Socket != automatic {
		return err
	}
	e.options.Log.Warn("no control socket: gosuper status and its like cannot reach this master; say where it may be, --control PATH, or off", hint.Fields(err)...)
	return nil
}

// addresses are where the socket may be, the best first.
func (p place) addresses(environ []string) []string {
	if p.socket == automatic {
		home := control.HomeOf(environ)
		return append(home.Addresses(p.name), home.Spare(p.name))
	}
	return []string{p.socket}
}

// BindControl makes the control socket of a configuration, at the first address where
// that is possible; nil: it is off. It may take as long as a file system does, and any
// goroutine may call it.
func BindControl(c *config.Config, environ []string) (*ControlSocket, error) {
	p := placeOf(c)
	if p.socket == off {
		return nil, nil
	}
	var errs []error
	var taken error
	for _, address := range p.addresses(environ) {
		c, err := p.bind(address, environ)
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

func (p place) bind(address string, environ []string) (*ControlSocket, error) {
	if address[0] == '@' {
		return bindAbstract(p, address)
	}
	if p.socket == automatic {
		if err := control.HomeOf(environ).MakeDir(); err != nil {
			return nil, err
		}
	}
	return bindPath(p, address)
}

// bindPath makes the socket at a path. Nobody can connect before it listens,
// and by then only its owner may.
func bindPath(p place, path string) (*ControlSocket, error) {
	address, err := socket.Parse("unix:" + path)
	if err != nil {
		return nil, err
	}
	set, err := socket.Open([]socket.Address{address}, socket.Options{Mode: 0o600, Backlog: controlQueue})
	if err != nil {
		return nil, err
	}
	c := &ControlSocket{place: p, address: path, sockets: set, spare: -1}
	if err = set.Listen(); err == nil {
		err = c.reopen()
	}
	if err != nil {
		return nil, errors.Join(err, set.Close())
	}
	return c, nil
}

// bindAbstract makes the socket at an address that has no file and hence no
// mode: who connects is looked at all the same.
func bindAbstract(p place, address string) (*ControlSocket, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, err
	}
	spare, err := copyOf(l)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &ControlSocket{place: p, address: address, spare: spare, listener: l}, nil
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

// reopen makes the listener of the descriptor, which stays open beside it: so
// those who wait to be accepted find another server behind it after this one.
func (c *ControlSocket) reopen() error {
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

// Close removes the socket.
func (c *ControlSocket) Close() error {
	if c == nil {
		return nil
	}
	if c.spare >= 0 {
		unix.Close(c.spare)
		c.spare = -1
	}
	return errors.Join(c.sockets.Close(), c.listener.Close())
}
