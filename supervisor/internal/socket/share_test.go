//go:build linux

package socket

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// helperAccept accepts once from each listener and prints what came of it.
func helperAccept() {
	_, _, err := unix.Accept(3)
	fmt.Println(err == unix.EAGAIN, err)
	untilEOF()
}

// A worker's accept must not block, and neither may spawning it make anybody else's. Giving the listener to an
// os.File and spawning with os.StartProcess fails this: Fd clears O_NONBLOCK on the description everybody shares.
func TestSpawningLeavesListenersNonblocking(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	for range 2 {
		if line := start(t, "accept", s.Fds(0)).line(t); line != "true resource temporarily unavailable" {
			t.Errorf("accept in the worker: %s", line)
		}
	}
	if !nonblocking(t, s.Fds(0)[0]) {
		t.Error("the listener is blocking after the spawn")
	}
}

// helperSpoil does what careless servers do to their listener.
func helperSpoil() {
	err := syscall.SetNonblock(3, false)
	if err == nil {
		err = syscall.Listen(3, 7)
	}
	fmt.Println("spoiled", err)
	untilEOF()
}

func TestReapply(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "unix:" + t.TempDir() + "/s"} {
		s := mustOpen(t, Options{Backlog: 321}, text)
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		fd := s.Fds(0)[0]
		c := start(t, "spoil", []int{fd})
		if line := c.line(t); line != "spoiled <nil>" {
			t.Fatal(line)
		}
		if nonblocking(t, fd) || backlog(t, s) != 7 {
			t.Fatalf("%s: the worker did not reach the socket: non-blocking %v, backlog %d", text, nonblocking(t, fd), backlog(t, s))
		}
		if err := s.Reapply(); err != nil {
			t.Fatal(err)
		}
		if !nonblocking(t, fd) || backlog(t, s) != 321 {
			t.Errorf("%s: non-blocking %v, backlog %d", text, nonblocking(t, fd), backlog(t, s))
		}
	}
}

// A socket that came from outside keeps its backlog, unless somebody asked for one.
func TestReapplyOutside(t *testing.T) {
	theirs := mustOpen(t, Options{Backlog: 77}, "127.0.0.1:0")
	if err := theirs.Listen(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		options Options
		want    int
	}{{Options{Backlog: 321}, 77}, {Options{Backlog: 321, Insist: true}, 321}} {
		fd, err := unix.FcntlInt(uintptr(theirs.Fds(0)[0]), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(mustParse(t, fmt.Sprintf("fd://%d", fd)), tc.options)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := unix.SetNonblock(fd, false); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Listen(), s.Reapply()); err != nil {
			t.Fatal(err)
		}
		if !nonblocking(t, fd) || backlog(t, s) != tc.want {
			t.Errorf("%+v: non-blocking %v, backlog %d", tc.options, nonblocking(t, fd), backlog(t, s))
		}
	}
}

// Where the backlog may not be set that is said once, not for every worker.
func TestReapplyDenied(t *testing.T) {
	fd, err := newSocket(unix.AF_UNIX) // on which listen(2) fails, as it has no address
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	s := (*Set)(nil).with(Options{Insist: true}, entry{listener: &listener{fd: fd, listening: true}})
	if err := s.Reapply(); err == nil {
		t.Error("a socket without an address listens")
	}
	if err := s.Reapply(); err != nil {
		t.Errorf("said twice: %v", err)
	}
}

// backlog is how many connections the first socket of s lets wait.
func backlog(t *testing.T, s *Set) int {
	t.Helper()
	if s.entries[0].bound.IsValid() {
		info, err := unix.GetsockoptTCPInfo(s.Fds(0)[0], unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		return int(info.Sacked) // sk_max_ack_backlog, where the socket listens
	}
	// A unix socket does not tell. It takes one more than its backlog, and then EAGAIN.
	for n := -1; ; n++ {
		fd, err := newSocket(unix.AF_UNIX)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		switch err := unix.Connect(fd, &unix.SockaddrUnix{Name: s.entries[0].path}); err {
		case nil:
			continue
		case unix.EAGAIN:
			drainQueue(t, s.Fds(0)[0])
			return n
		default:
			t.Fatal(err)
		}
	}
}

// drainQueue empties an accept queue, whatever mode the listener is in.
func drainQueue(t *testing.T, fd int) {
	t.Helper()
	for {
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0); n == 0 || err != nil {
			return
		}
		conn, _, err := unix.Accept(fd)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(conn)
	}
}

func TestReapplyLeavesSocketsThatDoNotListenAlone(t *testing.T) {
	s := mustOpen(t, Options{}, "127.0.0.1:0")
	if err := s.Reapply(); err != nil {
		t.Fatal(err)
	}
	if option(t, s.Fds(0)[0], unix.SOL_SOCKET, unix.SO_ACCEPTCONN) != 0 {
		t.Error("it listens")
	}
}

func TestBacklogZeroIsTheLimitOfTheKernel(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintln(backlog(t, s)); got != string(text) {
		t.Errorf("backlog %swant %s", got, text)
	}
}
