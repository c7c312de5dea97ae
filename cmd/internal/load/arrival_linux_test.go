package load

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestArrival: what was there before anybody read it did not arrive when it was read.
func TestArrival(t *testing.T) {
	conn, peer := pair(t)
	data := make([]byte, 100)
	// The kernel may begin to note arrivals a little later than it is asked to.
	for end := time.Now().Add(time.Minute); ; {
		before := time.Now().Round(0)
		if _, err := peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		awaitData(t, conn)
		there := time.Now().Round(0)
		if n, err := conn.Read(data); string(data[:n]) != "hello" || err != nil {
			t.Fatalf("%q, %v", data[:n], err)
		}
		if conn.arrived.IsZero() {
			if time.Now().After(end) {
				t.Fatal("the kernel does not say when anything arrived")
			}
			continue
		}
		if conn.arrived.Before(before) || conn.arrived.After(there) {
			t.Errorf("arrived at %v, not between %v and %v", conn.arrived, before, there)
		}
		break
	}
	peer.Close()
	if n, err := conn.Read(data); n != 0 || err != io.EOF || !conn.arrived.IsZero() {
		t.Errorf("%d, %v, arrived at %v; want the end, at a time that is not known", n, err, conn.arrived)
	}
	conn.Close()
	if _, err := conn.Read(data); err == nil {
		t.Error("a closed connection can be read")
	}
}

// TestReset: a connection that breaks is an error of package net, as without timing.
func TestReset(t *testing.T) {
	conn, peer := pair(t)
	peer.SetLinger(0)
	peer.Close()
	_, err := conn.Read(make([]byte, 1))
	if _, ok := err.(net.Error); !ok {
		t.Errorf("%#v, want a net.Error", err)
	}
}

// TestUnread: the latency is the time until the answer arrived.
func TestUnread(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	var longest, unread time.Duration
	for end := time.Now().Add(time.Minute); unread == 0; {
		if time.Now().After(end) {
			t.Fatal("the kernel does not say when anything arrived")
		}
		longest = 0
		r := Plan{Addr: server.Listener.Addr().String(), Mode: KeepAlive, Count: 100, Seen: func(a Answer) {
			if a.Unread < 0 || a.Unread > a.Took {
				t.Errorf("unread for %v of %v", a.Unread, a.Took)
			}
			longest, unread = max(longest, a.Took-a.Unread), max(unread, a.Unread)
		}}.Run(t.Context())
		if r.Complete != 100 || r.Latency.Max() != longest || r.Unread.Max() != unread {
			t.Errorf("%v, unread for %v; want %v and %v", r, r.Unread.Max(), longest, unread)
		}
	}
}

func pair(t *testing.T) (*timedConn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		accepted.Close()
		peer.Close()
	})
	return timed(accepted), peer.(*net.TCPConn)
}

// awaitData returns once there is something to read.
func awaitData(t *testing.T, conn *timedConn) {
	t.Helper()
	err := conn.raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if n, err := unix.Poll(fds, 60_000); err != unix.EINTR {
				if n != 1 {
					t.Errorf("nothing to read: %v", err)
				}
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
