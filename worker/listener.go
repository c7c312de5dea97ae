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

const (
	// quietShared is how long the queue of a leaving socket must have been empty:
	// the master takes it out of reach at about the same time as it asks for the
	// drain, and handshakes may be under way.
	quietShared = time.Second
	// quietOwn is the same for a socket that only this process holds, on which
	// whoever comes later would find nobody anyway.
	quietOwn = 100 * time.Millisecond
)

// A listener is one listening socket, inherited or this process's own.
type listener struct {
	*intake.Socket
	process *process
	warn    func(format string, args ...any)
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
func (p *process) newListener(inner intake.Listener, index int) (*listener, error) {
	l := &listener{process: p, index: index, warn: log.Printf}
	var err error
	l.Socket, err = intake.New(inner, intake.Terms{
		Gate:  &p.gate,
		Fleet: p.fleet,
		Place: p.place,
		Open:  p.conns.count,
		Force: l.emptying.Load,
		Warn:  func(format string, args ...any) { l.warn(format, args...) },
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Accept returns the next connection, on the books of the process. Once the
// process drains and there is nothing left to accept, the error is net.ErrClosed.
func (l *listener) Accept() (net.Conn, error) {
	l.entered.Do(func() {
		l.process.gate.Present(true)
		if l.onAccept != nil {
			l.onAccept()
		}
	})
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
	return l.process.conns.add(conn), nil
}

// Close closes this process's copy of the socket, and removes the path of a unix
// socket of its own.
func (l *listener) Close() error {
	l.unlink()
	return l.Socket.Close()
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
