//go:build unix

package worker

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/internal/intake"
	"github.com/gosuper/gosuper/worker/protocol"
)

// Listeners returns the inherited listening sockets in the order of the bind
// setting, for servers that are not HTTP. It returns none if there are none,
// because the program runs alone. They can be had once, by Listeners, Serve or
// ListenAndServe; a second call is an error. So is a process that was started by
// something else than gosuper itself, with an explanation.
//
// The listeners close themselves when the worker is told to drain, those about to
// be closed by the master too after accepting what waits in their queues: Accept
// then returns net.ErrClosed, and the server should finish what it has and end.
// Connections are of this package's own types, which embed those of package net;
// listeners have SyscallConn, like those of package net, and no more.
func Listeners() ([]net.Listener, error) {
	p := self()
	inherited, err := p.inherited()
	if err != nil {
		return nil, err
	}
	p.register(inherited)
	p.watch()
	var listeners []net.Listener
	for _, l := range inherited {
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// inherited returns the inherited sockets as listeners, none if there are none.
func (p *process) inherited() ([]*listener, error) {
	if p.broken != nil {
		return nil, p.broken
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken {
		return nil, errors.New("cannot serve: the inherited sockets are in use already")
	}
	if !p.supervised {
		n, err := activated()
		if err != nil {
			return nil, fmt.Errorf("cannot serve: %w", err)
		}
		if n == 0 {
			return nil, nil
		}
		p.sockets = n
	}
	if p.socketless != nil {
		return nil, fmt.Errorf("cannot serve: %w", p.socketless)
	}
	if p.sockets == 0 {
		return nil, errors.New("cannot serve: gosuper passed no listening socket")
	}
	p.taken = true
	p.board.CanHold() // as far as those listeners go
	var listeners []*listener
	for i := range p.sockets {
		fd := protocol.ListenFDsStart + i
		l, err := p.takeListener(fd, i)
		if err != nil {
			closeListeners(listeners)
			return nil, fmt.Errorf("cannot listen on inherited descriptor %d: %w", fd, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// takeListener turns an inherited descriptor into a listener, and closes it unless
// it is none at all.
func (p *process) takeListener(fd, index int) (*listener, error) {
	if err := awaitListening(fd); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "listener")
	defer file.Close() // FileListener makes a copy
	inner, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	// Both kinds that accept connections are of this interface.
	return p.newListener(inner.(intake.Listener), index)
}

// newListener makes a listener of this process.
func (p *process) newListener(inner intake.Listener, index int) (*listener, error) {
	l, err := newListener(inner, index, intake.Terms{Gate: &p.gate, Fleet: p.fleet, Place: p.place, Open: p.server.Open})
	if err != nil {
		return nil, err
	}
	l.onAccept = func() { p.gate.Present(true) }
	l.take = p.server.Add
	return l, nil
}

// awaitListening waits until the socket listens, which it does unless another worker has
// just shut it down.
func awaitListening(fd int) error {
	for end := time.Now().Add(protocol.ListenGrace); ; time.Sleep(time.Millisecond) {
		listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if err != nil {
			return os.NewSyscallError("getsockopt", err)
		}
		if listening != 0 {
			return nil
		}
		if time.Now().After(end) {
			return errors.New("the socket does not listen")
		}
	}
}

// listen returns the inherited sockets, or one bound to the address.
func (p *process) listen(addr string) ([]*listener, error) {
	listeners, err := p.inherited()
	if err != nil {
		return nil, err
	}
	if listeners != nil {
		p.register(listeners)
		return listeners, nil
	}
	path, unix := strings.CutPrefix(addr, "unix:")
	var inner intake.Listener
	if unix {
		inner, err = listenUnix(path)
	} else {
		inner, err = listenTCP(cmp.Or(addr, ":http"))
	}
	if err != nil {
		return nil, err
	}
	l, err := p.newListener(inner, -1)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	l.path = path
	if !unix {
		l.path = ""
	}
	listeners = []*listener{l}
	p.register(listeners)
	return listeners, nil
}

// register makes the drain find the listeners, also one that has begun already.
func (p *process) register(listeners []*listener) {
	p.mu.Lock()
	p.listeners = append(p.listeners, listeners...)
	draining := p.drains.Load()
	p.mu.Unlock()
	if draining {
		for _, l := range listeners {
			p.drainListener(l)
		}
	}
}

func listenTCP(addr string) (intake.Listener, error) {
	inner, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return inner.(*net.TCPListener), nil
}

// listenUnix binds a path, replacing a socket that nobody listens on any more.
func listenUnix(path string) (intake.Listener, error) {
	addr := &net.UnixAddr{Name: path, Net: "unix"}
	inner, err := net.ListenUnix("unix", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		conn, dialErr := net.DialUnix("unix", nil, addr)
		if dialErr == nil {
			conn.Close()
		} else if errors.Is(dialErr, syscall.ECONNREFUSED) && os.Remove(path) == nil {
			inner, err = net.ListenUnix("unix", addr)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on unix:%s: %w", path, err)
	}
	// The path is removed when draining begins. By the time the socket is closed
	// it may be a successor's.
	inner.SetUnlinkOnClose(false)
	return inner, nil
}

func closeListeners(listeners []*listener) {
	for _, l := range listeners {
		l.Close()
	}
}
