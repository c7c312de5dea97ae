//go:build unix

package worker

import (
	"errors"
	"log"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// quietShared is how long the queue of a leaving socket must have been empty:
	// the master takes it out of reach at about the same time as it asks for the
	// drain, and handshakes may be under way.
	quietShared = time.Second
	// quietOwn is the same for a socket that only this process holds, on which
	// whoever comes later would find nobody anyway.
	quietOwn = 100 * time.Millisecond
)

// streamListener is what *net.TCPListener and *net.UnixListener have in common.
type streamListener interface {
	net.Listener
	syscall.Conn
	File() (*os.File, error)
	SetDeadline(time.Time) error
}

// A listener is one listening socket, inherited or this process's own.
type listener struct {
	*socket
	process *process
	index   int    // in the order of bind, -1 for a socket of this process's own
	path    string // to be removed when draining begins, "" if there is none

	entered  sync.Once
	onAccept func() // called when the first Accept begins, if not nil

	unlinked sync.Once
	emptying atomic.Bool   // accepting what is left, until quiet
	quiet    time.Duration // written before emptying
	until    time.Time     // latest end of emptying; written before it
}

// newListener makes a listener of one of package net, which it closes. The index is
// as in listener.
func (p *process) newListener(inner streamListener, index int) (*listener, error) {
	socket, err := newSocket(inner)
	if err != nil {
		return nil, err
	}
	l := &listener{socket: socket, process: p, index: index}
	l.warn = log.Printf
	l.join(p, l.emptying.Load)
	return l, nil
}

// Accept returns the next connection, on the books of the process. Once the
// process drains and there is nothing left to accept, the error is net.ErrClosed.
func (l *listener) Accept() (net.Conn, error) {
	l.entered.Do(func() {
		l.process.gate.present(true)
		if l.onAccept != nil {
			l.onAccept()
		}
	})
	conn, err := l.accept()
	if err != nil {
		if l.emptying.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
			l.Close()
			return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
		}
		return nil, err
	}
	if l.emptying.Load() {
		l.extend()
	}
	return l.process.conns.add(conn), nil
}

// Close closes this process's copy of the socket, and removes the path of a unix
// socket of its own.
func (l *listener) Close() error {
	l.unlink()
	return l.socket.Close()
}

// drain closes the socket, or has it accepted empty where nobody else will take
// what waits in its queue.
func (l *listener) drain() {
	switch {
	case l.index < 0:
		l.unlink()
		l.quiet = quietOwn
		l.until = l.process.began.Add(quietShared)
	case l.process.board.Leaving(l.index):
		l.quiet = quietShared
		// Should connections keep coming, half of the time is for answering them.
		l.until = time.Now().Add(time.Until(l.process.deadline()) / 2)
	default:
		l.Close()
		return
	}
	l.emptying.Store(true)
	wake(l.wake) // no limit counts any more
	l.extend()
}

// extend lets Accept wait for another while.
func (l *listener) extend() {
	next := time.Now().Add(l.quiet)
	if next.After(l.until) {
		next = l.until
	}
	// Fails on a closed socket, where nothing is left to be done.
	_ = l.SetDeadline(next)
}

func (l *listener) unlink() {
	if l.path != "" {
		l.unlinked.Do(func() { os.Remove(l.path) })
	}
}
