//go:build linux

package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// talk accepts a connection and sends a byte over it, which client must get.
func talk(t *testing.T, listener int, client net.Conn) {
	t.Helper()
	conn := accept(t, listener)
	defer unix.Close(conn)
	if _, err := unix.Write(conn, []byte("x")); err != nil {
		t.Fatal(err)
	}
	client.SetReadDeadline(time.Now().Add(testTimeout))
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
		t.Errorf("a connection from the queue cannot be used: %v", err)
	}
}

func TestQuiesceTCP(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		s := listen(t, text)
		url, fd := s.URLs()[0], s.Fds(0)[0]
		queued := []net.Conn{mustDial(t, url), mustDial(t, url), mustDial(t, url)}
		if n := s.Queue(); n != 3 {
			t.Errorf("%s: %d in the queue", text, n)
		}
		if err := errors.Join(s.Quiesce(), s.Quiesce()); err != nil {
			t.Fatal(err)
		}
		if conn, err := dial(t, url); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: connected: %v, %v", text, conn, err)
		}
		for i, client := range queued {
			if n := s.Queue(); n != 3-i {
				t.Errorf("%s: %d in the queue, want %d", text, n, 3-i)
			}
			talk(t, fd, client)
		}
		if n := s.Queue(); n != 0 {
			t.Errorf("%s: %d in the queue", text, n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := dial(t, url); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// With TCP_DEFER_ACCEPT a handshake is under way until the client sends data, which makes it last as long as the
// test needs.
func TestQuiesceLetsHandshakesFinish(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	fd := s.Fds(0)[0]
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 60); err != nil {
		t.Fatal(err)
	}
	client := mustDial(t, s.URLs()[0])
	if n := s.Queue(); n != 0 {
		t.Fatalf("%d in the queue before the handshake is over", n)
	}
	if err := s.Quiesce(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	talk(t, fd, client)
}

// A reload that is followed by one back to the old address finds the socket on its way out.
func TestQuiescedTCPComesBack(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		before := listen(t, text)
		if err := before.Quiesce(); err != nil {
			t.Fatal(err)
		}
		after, err := Open(mustParse(t, text), Options{}, before)
		if err != nil {
			t.Fatal(err)
		}
		if before.Without(after).Len() != 0 {
			t.Errorf("%s: the socket was not taken over", text)
		}
		for range 2 {
			if err := after.Listen(); err != nil {
				t.Fatal(err)
			}
			talk(t, after.Fds(0)[0], mustDial(t, after.URLs()[0]))
			if err := after.Quiesce(); err != nil {
				t.Errorf("%s: a second time: %v", text, err)
			}
			if _, err := dial(t, after.URLs()[0]); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

// Without CAP_NET_RAW the old socket cannot be had back. It is replaced under the same number, and what waits in its
// queue is for those who still hold it.
func TestQuiescedTCPIsRenewed(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		s := listen(t, text)
		url, fd := s.URLs()[0], s.Fds(0)[0]
		worker, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(worker)
		accepted, queued := mustDial(t, url), mustDial(t, url)
		conn := accept(t, worker) // in the way of bind, as every connection of the port
		defer unix.Close(conn)
		if err := errors.Join(s.Quiesce(), s.entries[0].renewTCP()); err != nil {
			t.Fatal(err)
		}
		if conn, err := dial(t, url); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: connected: %v, %v", text, conn, err)
		}
		s.entries[0].quiesced = false
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		if s.Fds(0)[0] != fd || !nonblocking(t, fd) {
			t.Errorf("%s: descriptor %d became %d, non-blocking %v", text, fd, s.Fds(0)[0], nonblocking(t, fd))
		}
		if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s: it stays open on exec", text)
		}
		for range 5 {
			talk(t, fd, mustDial(t, url))
		}
		talk(t, worker, queued)
		accepted.Close()
	}
}

func TestQuiesceUnix(t *testing.T) {
	path := t.TempDir() + "/s"
	before := listen(t, "unix:"+path)
	client := mustDial(t, before.URLs()[0])
	if n := before.Queue(); n != 1 {
		t.Errorf("queue %d", n)
	}
	if err := before.Quiesce(); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, before.URLs()[0]); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("connected: %v", err)
	}
	// A reload binds the path anew, and the old socket does not touch it any more.
	after, err := Open(mustParse(t, "unix:"+path), Options{}, before)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if before.Without(after).Len() != 1 {
		t.Error("a socket without a path was taken over")
	}
	talk(t, before.Fds(0)[0], client)
	if n := before.Queue(); n != 0 {
		t.Errorf("queue %d", n)
	}
	if err := errors.Join(before.Close(), after.Listen()); err != nil {
		t.Fatal(err)
	}
	talk(t, after.Fds(0)[0], mustDial(t, "unix://"+path))
}

// A rollback may want a path back that is gone already. Workers from before go on with the queue of the old socket.
func TestQuiescedUnixComesBack(t *testing.T) {
	path := t.TempDir() + "/s"
	s := mustOpen(t, Options{Mode: 0o660, Backlog: 12}, "unix:"+path)
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	fd := s.Fds(0)[0]
	worker, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(worker)
	queued := mustDial(t, s.URLs()[0])
	if err := errors.Join(s.Quiesce(), s.Listen()); err != nil {
		t.Fatal(err)
	}
	if s.Fds(0)[0] != fd || !nonblocking(t, fd) || backlog(t, s) != 12 {
		t.Errorf("descriptor %d became %d, non-blocking %v, backlog %d", fd, s.Fds(0)[0], nonblocking(t, fd), backlog(t, s))
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("path: %v, %v", info, err)
	}
	talk(t, fd, mustDial(t, s.URLs()[0]))
	talk(t, worker, queued)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the path is left: %v", err)
	}
}

// TestClaim changes the mode of a socket's path, and leaves another's alone.
func TestClaim(t *testing.T) {
	path := t.TempDir() + "/s"
	a, err := Parse("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open([]Address{a}, Options{Backlog: 1, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mode := func() os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if err := s.Claim(Options{Mode: 0o660}); err != nil || mode() != 0o660 {
		t.Errorf("mode %o, %v, want 660", mode(), err)
	}
	os.Remove(path)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Claim(Options{Mode: 0o600}); err != nil || mode() != 0o644 {
		t.Errorf("the file of another has mode %o, %v, want 644", mode(), err)
	}
}
