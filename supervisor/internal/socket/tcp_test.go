//go:build linux

package socket

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// dial connects to a bound URL as printed by Set.URLs.
func dial(t *testing.T, url string) (net.Conn, error) {
	t.Helper()
	network, address, _ := strings.Cut(url, "://")
	d := net.Dialer{Timeout: testTimeout}
	return d.DialContext(t.Context(), network, address)
}

func mustDial(t *testing.T, url string) net.Conn {
	t.Helper()
	conn, err := dial(t, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestBindsFirstListensLater(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "[::1]:0", ":0", "localhost:0", "unix:" + t.TempDir() + "/s"} {
		s := mustOpen(t, Options{}, text)
		url := s.URLs()[0]
		if strings.HasSuffix(url, ":0") {
			t.Errorf("%s: the port is not known: %s", text, url)
		}
		if conn, err := dial(t, url); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: connected to a socket that does not listen: %v %v", text, conn, err)
		}
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		client := mustDial(t, url)
		server := accept(t, s.Fds(0)[0])
		if _, err := unix.Write(server, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		unix.Close(server)
		var b bytes.Buffer
		if _, err := b.ReadFrom(client); err != nil || b.String() != "hello" {
			t.Errorf("%s: got %q, %v", text, b.String(), err)
		}
	}
}

// Sockets of net.Listen are MPTCP where the kernel has it, and refuse SO_ATTACH_REUSEPORT_CBPF.
func TestSocketsArePlainTCP(t *testing.T) {
	fd := mustOpen(t, Options{}, "127.0.0.1:0").Fds(0)[0]
	if p := option(t, fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); p != unix.IPPROTO_TCP {
		t.Errorf("protocol %d, want %d", p, unix.IPPROTO_TCP)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		t.Fatal(err)
	}
	program := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: 1, Filter: &program[0]}); err != nil {
		t.Errorf("SO_ATTACH_REUSEPORT_CBPF: %v", err)
	}
}

func TestOptionsOfSockets(t *testing.T) {
	s := listen(t, "127.0.0.1:0", ":0", "[::1]:0", "[::]:0")
	for i, fd := range s.Fds(0) {
		if !nonblocking(t, fd) {
			t.Errorf("%s is blocking", s.URLs()[i])
		}
		if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s stays open on exec", s.URLs()[i])
		}
		if option(t, fd, unix.SOL_SOCKET, unix.SO_REUSEADDR) == 0 {
			t.Errorf("%s has no SO_REUSEADDR", s.URLs()[i])
		}
		mustDial(t, s.URLs()[i])
		conn := accept(t, fd)
		if option(t, conn, unix.IPPROTO_TCP, unix.TCP_NODELAY) == 0 {
			t.Errorf("a connection accepted from %s has no TCP_NODELAY", s.URLs()[i])
		}
		unix.Close(conn)
	}
	for i, want := range []int{1: 0, 2: 1, 3: 0} {
		if i > 0 {
			if got := option(t, s.Fds(0)[i], unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); got != want {
				t.Errorf("%s: IPV6_V6ONLY is %d", s.URLs()[i], got)
			}
		}
	}
}

func TestDualStack(t *testing.T) {
	s := listen(t, ":0")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.URLs()[0], "tcp://"))
	for _, host := range []string{"127.0.0.1", "::1"} {
		mustDial(t, "tcp://"+net.JoinHostPort(host, port))
		unix.Close(accept(t, s.Fds(0)[0]))
	}
}

// noIPv6 is a kernel that was started with ipv6.disable=1.
func noIPv6(family int) (int, error) {
	if family == unix.AF_INET6 {
		return -1, unix.EAFNOSUPPORT
	}
	return newSocket(family)
}

func TestWithoutIPv6(t *testing.T) {
	s, err := (&opening{socket: noIPv6}).open(Addresses{Shared: mustParse(t, ":0")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.HasPrefix(s.URLs()[0], "tcp://0.0.0.0:") {
		t.Errorf("bound to %s", s.URLs()[0])
	}
	_, err = (&opening{socket: noIPv6}).open(Addresses{Shared: mustParse(t, "[::1]:0")}, nil)
	if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, syscall.EAFNOSUPPORT) || !strings.Contains(e.Hint, "no IPv6") {
		t.Errorf("[::1] without IPv6: %v", err)
	}
}

func TestOverlap(t *testing.T) {
	at := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	for _, c := range []struct {
		new     string
		newDual bool
		old     string
		oldDual bool
		want    bool
	}{
		{"127.0.0.1:80", false, "127.0.0.1:80", false, true},
		{"127.0.0.1:80", false, "127.0.0.1:81", false, false},
		{"127.0.0.1:80", false, "127.0.0.2:80", false, false},
		{"127.0.0.1:80", false, "0.0.0.0:80", false, true},
		{"0.0.0.0:80", false, "127.0.0.1:80", false, true},
		{"0.0.0.0:0", false, "127.0.0.1:80", false, false},
		{"127.0.0.1:80", false, "[::]:80", true, true},
		{"[::]:80", true, "0.0.0.0:80", false, true},
		{"[::]:80", true, "[::1]:80", false, true},
		{"[::1]:80", false, "[::2]:80", false, false},
		{"[::1]:80", false, "127.0.0.1:80", false, false},
		{"0.0.0.0:80", false, "[::]:80", false, false}, // an inherited one with IPV6_V6ONLY
		{"[::1]:80", false, "[::]:80", false, true},
	} {
		l := &listener{fd: 9, bound: at(c.old), dual: c.oldDual}
		if got := overlap(target{at(c.new), c.newDual}, l); got != c.want {
			t.Errorf("%s (%v) while %s (%v) is held: %v", c.new, c.newDual, c.old, c.oldDual, got)
		}
	}
	if overlap(target{at("127.0.0.1:80"), false}, &listener{fd: -1, bound: at("127.0.0.1:80")}) {
		t.Error("a closed socket is in the way")
	}
}

// The kernel is asked whether overlap tells the truth, for the pairs that can be made on any machine.
func TestOverlapIsWhatTheKernelDoes(t *testing.T) {
	hosts := []string{"127.0.0.1", "127.0.0.2", "0.0.0.0", "[::]", "[::1]"}
	for _, first := range hosts {
		for _, second := range hosts {
			old := mustOpen(t, Options{}, first+":0")
			if err := old.Listen(); err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprintf("%s:%d", second, old.entries[0].bound.Port())
			ts, err := targets(mustParse(t, text)[0])
			if err != nil {
				t.Fatal(err)
			}
			other, err := Open(mustParse(t, text), Options{}) // knows nothing of old, like another process
			if refused := errors.Is(err, syscall.EADDRINUSE); refused != overlap(ts[0], old.entries[0].listener) {
				t.Errorf("%s while %s listens: %v", text, first, err)
			}
			if err == nil {
				other.Close()
			}
			old.Close()
		}
	}
}

// Two masters that start at once must not both believe that they have the address.
func TestBoundIsReservedBeforeItListens(t *testing.T) {
	s := mustOpen(t, Options{}, "127.0.0.1:0")
	second := strings.TrimPrefix(s.URLs()[0], "tcp://")
	if other, err := Open(mustParse(t, second), Options{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("bound twice: %v, %v", other, err)
	}
	// Nor may somebody with SO_REUSEADDR, which is what everybody sets.
	fd, err := newSocket(unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	sa, err := sockaddr(s.entries[0].bound)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, sa); err != unix.EADDRINUSE {
		t.Errorf("bound twice with SO_REUSEADDR: %v", err)
	}
}

// A connection that the server closed first leaves TIME_WAIT on the server's port.
func TestBindsOverTimeWait(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	url := s.URLs()[0]
	client := mustDial(t, url)
	unix.Close(accept(t, s.Fds(0)[0]))
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Fatal("data on a closed connection")
	}
	client.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, Options{}, strings.TrimPrefix(url, "tcp://"))
	if err := again.Listen(); err != nil {
		t.Fatal(err)
	}
	mustDial(t, url)
}

func TestHints(t *testing.T) {
	busy := listen(t, "127.0.0.1:0")
	_, err := Open(mustParse(t, strings.TrimPrefix(busy.URLs()[0], "tcp://")), Options{})
	if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(e.Hint, "ss -ltnp") {
		t.Errorf("in use: %v", err)
	}
	_, err = Open(mustParse(t, "192.0.2.1:0"), Options{})
	if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, syscall.EADDRNOTAVAIL) || !strings.Contains(e.Hint, "ip -brief address") {
		t.Errorf("not ours: %v", err)
	}
	_, err = Open(mustParse(t, "no-such-host.invalid:80"), Options{})
	if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Error(), "cannot look up") {
		t.Errorf("unknown host: %v", err)
	}
	if h := hint(mustParse(t, ":80")[0], unix.EACCES); !strings.Contains(h, "CAP_NET_BIND_SERVICE") || !strings.Contains(h, "ip_unprivileged_port_start=80") {
		t.Errorf("privileged port: %q", h)
	}
	if h := hint(mustParse(t, ":8080")[0], unix.EACCES); h != "" {
		t.Errorf("a port that needs no privilege: %q", h)
	}
}
