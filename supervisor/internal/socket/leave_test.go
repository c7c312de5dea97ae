//go:build linux

package socket

import (
	"errors"
	"io"
	"net"
	"strings"
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
	client.SetReadDeadline(time.Now().Add(patience))
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
		// The first SYN is dropped, and the next comes after a second.
		network, address, _ := strings.Cut(url, "://")
		conn, err := net.DialTimeout(network, address, 200*time.Millisecond)
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
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
	before := listen(t, "127.0.0.1:0")
	if err := before.Quiesce(); err != nil {
		t.Fatal(err)
	}
	after, err := Open(mustParse(t, "127.0.0.1:0"), Options{}, before)
	if err != nil {
		t.Fatal(err)
	}
	if before.Without(after).Len() != 0 {
		t.Error("the socket was not taken over")
	}
	if err := after.Listen(); err != nil {
		t.Fatal(err)
	}
	talk(t, after.Fds(0)[0], mustDial(t, after.URLs()[0]))
	if err := after.Quiesce(); err != nil {
		t.Errorf("a second time: %v", err)
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
	// What was unlinked cannot be linked again, so the way back is a new socket; the old one does not touch its path.
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
