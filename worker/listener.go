//go:build unix

package worker

import (
	"errors"
	"log"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/worker/internal/intake"
)

// A listener is one listening socket, inherited or this process's own.
type listener struct {
	*intake.Socket
	warn  func(format string, args ...any)
	index int    // in the order of bind, -1 for a socket of this process's own
	path  string // to be removed when draining begins, "" if there is none

	entered  sync.Once
	onAccept func()                       // called when the first Accept begins
	take     func(conn net.Conn) net.Conn // called with each connection that is accepted

	unlinked sync.Once
	emptying atomic.Bool   // accepting what is left, until quiet
	quiet    time.Duration // written before emptying
	until    time.Time     // latest end of emptying; written before it
}

// newListener makes a listener of one of package net, which it closes, on terms of which it
// fills in Force and Warn. The index is as in listener; onAccept and take are still to be set.
func newListener(inner intake.Listener, index int, terms intake.Terms) (*listener, error) {
	l := &listener{index: index, warn: log.Printf}
	terms.Force = l.emptying.Load
	terms.Warn = func(format string, args ...any) { l.warn(format, args...) }
	var err error
	l.Socket, err = intake.New(inner, terms)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Accept returns what take makes of the next connection. Once the listener drains and
// there is nothing left to accept, the error is net.ErrClosed.
func (l *listener) Accept() (net.Conn, error) {
	l.entered.Do(l.onAccept)
	conn, err := l.Socket.Accept()
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
	return l.take(conn), nil
}

// Close closes this process's copy of the socket, and removes the path of a unix
// socket of its own.
func (l *listener) Close() error {
	l.unlink()
	return l.Socket.Close()
}

// empty has the socket closed once its queue has been empty for so long, but no later
// than until.
func (l *listener) empty(quiet time.Duration, until time.Time) {
	l.quiet, l.until = quiet, until
	l.emptying.Store(true)
	l.Wake() // no limit counts any more
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
