//go:build linux

package demand

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A connection is told of once, however long it waits and whoever comes after it, and
// again when the watch is armed anew.
func TestWatch(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fds []int
	if err := raw.Control(func(fd uintptr) {
		own, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
		}
		fds = append(fds, own)
	}); err != nil {
		t.Fatal(err)
	}
	arrivals := make(chan bool, 16)
	w := watch{arrived: func() { arrivals <- true }}
	arm := func() {
		t.Helper()
		w.armed = false // as whoever is told does
		if err := w.arm(fds); err != nil {
			t.Fatal(err)
		}
	}
	told := func(why string) {
		t.Helper()
		select {
		case <-arrivals:
		case <-time.After(time.Minute):
			t.Fatalf("not told that %s", why)
		}
	}
	arm()
	if len(arrivals) != 0 {
		t.Fatal("told of nobody")
	}
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	told("a connection waits")
	arm()
	told("it waits still")
	if len(arrivals) != 0 {
		t.Errorf("told %d times more", len(arrivals))
	}
	for range 3 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	arm()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	told("another one came")
	unix.Close(w.fd)
}
