//go:build linux

package wire

import (
	"errors"
	"net"
	"os"
	"runtime"
	"testing"
	"time"
)

const (
	// allowed is what a read gets that is to fail for it.
	allowed = 250 * time.Millisecond
	// forever is the cap on waiting for what must happen.
	forever = 60 * time.Second
)

// pair is a connected pair of TCP sockets of package net.
func pair(t testing.TB) (server, peer *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		accepted.Close()
		dialed.Close()
	})
	return accepted.(*net.TCPConn), dialed.(*net.TCPConn)
}

// A conn reads by a ReadDeadline.
type conn struct {
	net.Conn
	deadline ReadDeadline
}

func (c *conn) Read(data []byte) (int, error)     { return c.deadline.Read(c.Conn, data) }
func (c *conn) SetReadDeadline(t time.Time) error { return c.deadline.Set(t) }

// deadlinePair is a connection on which HTTP is served, and its other end.
func deadlinePair(t testing.TB) (server *conn, peer net.Conn) {
	t.Helper()
	raw, peer := pair(t)
	server = &conn{Conn: raw}
	server.deadline.Init(raw)
	server.deadline.Begin()
	return server, peer
}

func TestReadDeadline(t *testing.T) {
	const short = allowed / 5
	none := func(*conn) {}
	tests := []struct {
		name          string
		before, while func(c *conn) // the read, from whose begin while is called after short
		after         time.Duration // the read fails, from its begin; 0 if there are bytes first
	}{
		{"none", none, none, 0},
		{"far", func(c *conn) { c.SetReadDeadline(time.Now().Add(forever)) }, none, 0},
		{"near", func(c *conn) { c.SetReadDeadline(time.Now().Add(allowed)) }, none, allowed},
		{"over", func(c *conn) { c.SetReadDeadline(time.Unix(1, 0)) }, none, 1},
		{"just over", func(c *conn) { c.SetReadDeadline(time.Now()) }, none, 1},
		{"brought forward", func(c *conn) { c.SetReadDeadline(time.Now().Add(forever)) }, func(c *conn) { c.SetReadDeadline(time.Now().Add(allowed)) }, short + allowed},
		{"put off", func(c *conn) { c.SetReadDeadline(time.Now().Add(allowed)) }, func(c *conn) { c.SetReadDeadline(time.Now().Add(allowed)) }, short + allowed},
		{"taken back", func(c *conn) { c.SetReadDeadline(time.Now().Add(allowed)) }, func(c *conn) { c.SetReadDeadline(time.Time{}) }, 0},
		{"over while reading", none, func(c *conn) { c.SetReadDeadline(time.Unix(1, 0)) }, short},
		{"over, then taken back", func(c *conn) {
			c.SetReadDeadline(time.Unix(1, 0))
			c.SetReadDeadline(time.Time{})
		}, none, 0},
		{"over, then far", func(c *conn) {
			c.SetReadDeadline(time.Unix(1, 0))
			c.SetReadDeadline(time.Now().Add(forever))
		}, none, 0},
		{"over, then near", func(c *conn) {
			c.SetReadDeadline(time.Unix(1, 0))
			c.SetReadDeadline(time.Now().Add(allowed))
		}, none, allowed},
		{"near, in other hands", func(c *conn) {
			c.SetReadDeadline(time.Now().Add(allowed))
			c.deadline.End()
		}, none, allowed},
		{"over, in other hands", func(c *conn) {
			c.SetReadDeadline(time.Unix(1, 0))
			c.deadline.End()
		}, none, 1},
		{"in other hands", func(c *conn) { c.deadline.End() }, func(c *conn) { c.SetReadDeadline(time.Now().Add(allowed)) }, short + allowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, peer := deadlinePair(t)
			begin := time.Now()
			tt.before(server)
			time.AfterFunc(short, func() { tt.while(server) })
			sent := 3 * allowed
			if tt.after > 0 {
				sent = forever
			}
			sender := time.AfterFunc(sent, func() { peer.Write([]byte("x")) })
			defer sender.Stop()
			_, err := server.Read(make([]byte, 1))
			took := time.Since(begin)
			switch {
			case tt.after == 0 && err != nil:
				t.Errorf("%v after %v", err, took)
			case tt.after > 0 && (!errors.Is(err, os.ErrDeadlineExceeded) || took < tt.after || took > tt.after+5*time.Second):
				t.Errorf("%v after %v, want it to fail after %v", err, took, tt.after)
			}
		})
	}
}

// TestReadDeadlineMoved moves deadlines again and again before they are over, while the
// timer of earlier ones fires: no read fails.
func TestReadDeadlineMoved(t *testing.T) {
	server, peer := deadlinePair(t)
	failed := 0
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			_, err := server.Read(make([]byte, 1))
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil {
				failed++
				time.Sleep(time.Millisecond) // else it would keep the processor until the deadline moves
			}
		}
	}()
	// On a busy machine a deadline may be over before it is moved. That proves nothing.
	const step = 50 * time.Millisecond
	late := 0
	for i := range 3000 {
		deadline := time.Now().Add(step)
		server.SetReadDeadline(deadline)
		if i%10 == 0 {
			peer.Write([]byte("x"))
			time.Sleep(time.Millisecond) // the timer's, which nobody sees fire
		}
		switch i % 3 {
		case 1:
			server.SetReadDeadline(time.Time{})
		case 2:
			server.SetReadDeadline(deadline.Add(time.Hour))
			server.SetReadDeadline(time.Now().Add(step))
		}
		if time.Since(deadline) >= 0 {
			late++
		}
	}
	server.SetReadDeadline(time.Time{})
	peer.Close()
	<-read
	t.Logf("%d late, %d failed", late, failed)
	if late == 0 && failed > 0 {
		t.Errorf("%d reads failed for deadlines that had been moved", failed)
	}
}

// TestReadDeadlineAborts does what net/http does for each request: a read on another
// goroutine is ended by a deadline in the past, whether it has begun or not, and the
// next one, without a deadline, waits for bytes.
func TestReadDeadlineAborts(t *testing.T) {
	server, peer := deadlinePair(t)
	buf := make([]byte, 1)
	for i := range 20000 {
		aborted := make(chan error, 1)
		go func() {
			_, err := server.Read(buf)
			aborted <- err
		}()
		if i%4 == 1 {
			runtime.Gosched()
		}
		server.SetReadDeadline(time.Unix(1, 0))
		if err := <-aborted; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d: the read that is to end gives %v", i, err)
		}
		server.SetReadDeadline(time.Time{})
		if i%2 == 0 {
			peer.Write([]byte("x"))
		} else {
			go peer.Write([]byte("x"))
		}
		if n, err := server.Read(buf); n != 1 || err != nil {
			t.Fatalf("%d: the next read gives %d, %v", i, n, err)
		}
	}
}
