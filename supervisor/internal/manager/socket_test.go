//go:build linux

package manager

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A systemd is the receiving end: a socket at a path, or at an abstract address.
type systemd struct {
	fd      int
	address string
}

func newSystemd(t *testing.T, address string) systemd {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		t.Fatal(err)
	}
	return systemd{fd, address}
}

// read is the next message, and the descriptors that came with it.
func (s systemd) read(t *testing.T) (string, []int) {
	t.Helper()
	text, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := unix.Recvmsg(s.fd, text, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:oobn])
	if err != nil {
		t.Fatal(err)
	}
	var fds []int
	for _, m := range messages {
		if fds, err = unix.ParseUnixRights(&m); err != nil {
			t.Fatal(err)
		}
	}
	return string(text[:n]), fds
}

func find(t *testing.T, environ ...string) *Manager {
	t.Helper()
	m, err := Find(environ)
	if err != nil || m == nil {
		t.Fatal(m, err)
	}
	t.Cleanup(func() { unix.Close(m.link.(datagrams).fd) })
	return m
}

func TestManagerHears(t *testing.T) {
	for name, address := range map[string]string{
		"path":     filepath.Join(t.TempDir(), "notify"),
		"abstract": fmt.Sprintf("@gosuper-test-%d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystemd(t, address)
			m := find(t, "NOTIFY_SOCKET="+address)
			if err := m.link.Send("READY=1", status("all\n  well\x07"), extendTimeout(90*time.Second)); err != nil {
				t.Fatal(err)
			}
			if got, fds := s.read(t); got != "READY=1\nSTATUS=all well�\nEXTEND_TIMEOUT_USEC=90000000" || len(fds) > 0 {
				t.Errorf("heard %q and %v", got, fds)
			}
			null, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer null.Close()
			if err := m.Store("gosuper-x", int(null.Fd())); err != nil {
				t.Fatal(err)
			}
			got, fds := s.read(t)
			if got != "FDSTORE=1\nFDNAME=gosuper-x" || len(fds) != 1 {
				t.Fatalf("heard %q and %v", got, fds)
			}
			unix.Close(fds[0])
			if err := m.Remove("gosuper-x"); err != nil {
				t.Fatal(err)
			}
			if got, _ := s.read(t); got != "FDSTOREREMOVE=1\nFDNAME=gosuper-x" {
				t.Errorf("heard %q", got)
			}
		})
	}
}

// The time in RELOADING lies between two readings of the clock that systemd reads.
func TestReloadingSaysWhen(t *testing.T) {
	clock := func() int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			t.Fatal(err)
		}
		return ts.Nano() / 1000
	}
	before := clock()
	usec, ok := strings.CutPrefix(reloading(), "RELOADING=1\nMONOTONIC_USEC=")
	after := clock()
	if got, err := strconv.ParseInt(usec, 10, 64); !ok || err != nil || got < before || got > after {
		t.Errorf("%s is not between %d and %d", usec, before, after)
	}
}

// A service manager that does not read is not waited for, and neither is one that is gone.
func TestManagerIsNotWaitedFor(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	s := newSystemd(t, address)
	m := find(t, "NOTIFY_SOCKET="+address)
	sent := 0
	for err := error(nil); err == nil; sent++ {
		if err = m.link.Send("STATUS=" + strconv.Itoa(sent)); err != nil && !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
	}
	for range sent - 1 {
		s.read(t)
	}
	if err := m.link.Send("READY=1"); err != nil {
		t.Error(err)
	}
	if err := os.Remove(address); err != nil {
		t.Fatal(err)
	}
	if err := m.link.Send("READY=1"); err == nil || errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), address) {
		t.Errorf("nobody is there, but the error is %v", err)
	}
}

func TestFind(t *testing.T) {
	self, other := "WATCHDOG_PID="+strconv.Itoa(os.Getpid()), "WATCHDOG_PID=1"
	for _, c := range []struct {
		environ  string
		found    bool
		watchdog time.Duration
		keeps    bool
		err      string
	}{
		{environ: "PATH=/bin"},
		{environ: "NOTIFY_SOCKET="},
		{environ: "WATCHDOG_USEC=1000000"},
		{environ: "NOTIFY_SOCKET=vsock:2:1234", err: "neither a path nor an abstract address"},
		{environ: "NOTIFY_SOCKET=run/notify", err: "neither a path nor an abstract address"},
		{environ: "NOTIFY_SOCKET=/n", found: true, keeps: true},
		{environ: "NOTIFY_SOCKET=@n FDSTORE=4", found: true, keeps: true},
		{environ: "NOTIFY_SOCKET=/n FDSTORE=4 MEMORY_PRESSURE_WATCH=/x", found: true, keeps: true},
		{environ: "NOTIFY_SOCKET=/n FDSTORE=0", found: true},
		{environ: "NOTIFY_SOCKET=/n FDSTORE=", found: true},
		{environ: "NOTIFY_SOCKET=/n MEMORY_PRESSURE_WATCH=/x", found: true},
		{environ: "NOTIFY_SOCKET=/n FDSTORE=0 WATCHDOG_USEC=1000000", found: true, watchdog: time.Second},
		{environ: "NOTIFY_SOCKET=/n FDSTORE=0 WATCHDOG_USEC=1000000 " + self, found: true, watchdog: time.Second},
		{environ: "NOTIFY_SOCKET=/n FDSTORE=0 WATCHDOG_USEC=1000000 " + other, found: true},
		{environ: "NOTIFY_SOCKET=/n FDSTORE=0 WATCHDOG_USEC=soon", found: true},
		{environ: "NOTIFY_SOCKET=/n FDSTORE=0 WATCHDOG_USEC=-1", found: true},
	} {
		m, err := Find(strings.Fields(c.environ))
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) || m != nil {
				t.Errorf("%s: %v", c.environ, err)
			}
		case err != nil || (m != nil) != c.found:
			t.Errorf("%s: %v, %v", c.environ, m, err)
		case m != nil:
			if m.watchdog != c.watchdog || m.Keeps() != c.keeps {
				t.Errorf("%s: watchdog %v, keeps %v", c.environ, m.watchdog, m.Keeps())
			}
			unix.Close(m.link.(datagrams).fd)
		}
	}
}
