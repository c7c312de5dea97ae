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
	"github.com/gosuper/gosuper/worker/protocol"
)

// quietOwn is protocol.QuietQueue of a socket that only this process holds, on which
// whoever comes later would find nobody anyway.
const quietOwn = 100 * time.Millisecond

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

// newListener makes a listener of one of package net, which it closes. The index is
// as in listener.
func (p *process) newListener(inner intake.Listener, index int) (*listener, error) {
	l := &listener{
		index:    index,
		warn:     log.Printf,
		onAccept: func() { p.gate.Present(true) },
		take:     p.server.Add,
	}
	var err error
	l.Socket, err = intake.New(inner, intake.Terms{
		Gate:  &p.gate,
		Fleet: p.fleet,
		Place: p.place,
		Open:  p.server.Open,
		Force: l.emptying.Load,
		Warn:  func(format string, args ...any) { l.warn(format, args...) },
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// drainListener closes the socket, or has it accepted empty where nobody else will take
// what waits in its queue.
func (p *process) drainListener(l *listener) {
	switch {
	case l.index < 0:
		l.unlink()
		l.empty(quietOwn, p.began.Add(protocol.QuietQueue))
	case p.board.Leaving(l.index):
		// Should connections keep coming, half of the time is for answering them.
		l.empty(protocol.QuietQueue, time.Now().Add(time.Until(p.deadline())/2))
	default:
		l.Close()
	}
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
