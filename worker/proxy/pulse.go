//go:build linux

package proxy

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A pulse tells whether the program gets to run. Connections alone do not: the kernel
// accepts them for a program that is stuck. A program that runs closes a connection on
// which its client has sent nothing and never will.
type pulse struct {
	upstream *upstream
	usable   atomic.Bool // the program was seen to do so

	mu   sync.Mutex    // guards beat
	beat chan struct{} // closed when the program has closed the one on the way; nil: none is
}

// learnTimeout is what a program has to show at its start that it closes such
// connections. Of others nothing can be told.
const learnTimeout = time.Second

// learn finds out, on the way, whether the program has a pulse at all.
func (p *pulse) learn() {
	go func() {
		conn := p.connect()
		if conn == nil {
			return
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(learnTimeout))
		_, err := io.Copy(io.Discard, conn)
		timeout, ok := err.(net.Error)
		p.usable.Store(err == nil || !ok || !timeout.Timeout())
	}()
}

// feel returns when the program has shown that it runs, or has ended. Those who ask at
// the same time are told together.
func (p *pulse) feel(ended <-chan struct{}) {
	if !p.usable.Load() {
		return
	}
	p.mu.Lock()
	if p.beat == nil {
		beat := make(chan struct{})
		p.beat = beat
		go func() {
			if conn := p.connect(); conn != nil {
				_, _ = io.Copy(io.Discard, conn)
				conn.Close()
			}
			p.mu.Lock()
			p.beat = nil
			p.mu.Unlock()
			close(beat)
		}()
	}
	beat := p.beat
	p.mu.Unlock()
	select {
	case <-beat:
	case <-ended:
	}
}

// connect returns a connection on which nothing will be sent; nil: there is none.
func (p *pulse) connect() net.Conn {
	conn, err := p.upstream.dial(context.Background())
	if err != nil {
		return nil
	}
	if half, ok := conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		conn.Close()
		return nil
	}
	return conn
}
