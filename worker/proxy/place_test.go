//go:build linux

package proxy

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPort: the port is the program's, who listens as servers do, and nobody's who asks
// for any.
func TestPort(t *testing.T) {
	p, err := reserve(toPort)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for _, address := range []string{p.address, "[::]:" + p.port, "0.0.0.0:" + p.port} {
		l, err := net.Listen("tcp", address) // which sets SO_REUSEADDR
		if err != nil {
			t.Errorf("the program cannot listen: %v", err)
			continue
		}
		l.Close()
	}
	other, err := reserve(toPort)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if other.port == p.port {
		t.Errorf("port %s is given twice", p.port)
	}
}

// TestSocket: the folder is its user's alone, and goes with the front; one that was left
// behind goes with the next.
func TestSocket(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	left, err := reserve(toUnix)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: left.address}); err != nil {
		t.Fatal(err)
	}
	syscall.Close(fd)
	long := time.Now().Add(-2 * abandoned)
	if err := os.Chtimes(left.folder, long, long); err != nil {
		t.Fatal(err)
	}
	p, err := reserve(toUnix)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left.folder); err == nil {
		t.Error("what was left behind stays")
	}
	info, err := os.Stat(filepath.Dir(p.address))
	if err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("the folder is %v, %v", info, err)
	}
	p.close()
	if _, err := os.Stat(p.folder); err == nil {
		t.Error("the folder stays")
	}
}

func TestExpand(t *testing.T) {
	port, socket := &place{network: "tcp", port: "81", address: "127.0.0.1:81"}, &place{network: "unix", address: "/tmp/s"}
	for _, tt := range []struct {
		place      *place
		word, want string
	}{
		{port, "--bind=127.0.0.1:{port}", "--bind=127.0.0.1:81"},
		{port, "{{port}} {a} {", "{port} {a} {"},
		{socket, "unix:{socket}", "unix:/tmp/s"},
	} {
		if got := tt.place.expand(tt.word); got != tt.want {
			t.Errorf("%s is %s, not %s", tt.word, got, tt.want)
		}
	}
	if got := port.environ([]string{"PORT=1", "A={port}", "B={port}"}, []string{"B"}); !slices.Equal(got, []string{"A={port}", "B=81", "PORT=81"}) {
		t.Errorf("the environment is %q", got)
	}
	if got := socket.environ([]string{"PORT=1"}, nil); !slices.Equal(got, []string{"PORT=1"}) {
		t.Errorf("the environment is %q", got)
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-to=unix", "-env=A,B", "-stop_signal=SIGINT", "--", "/bin/app", "app", "-to=x"})
	if err != nil || o.to != toUnix || o.stop != syscall.SIGINT || o.abort != syscall.SIGABRT || o.path != "/bin/app" || !slices.Equal(o.argv, []string{"app", "-to=x"}) || !slices.Equal(o.env, []string{"A", "B"}) {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{nil, {"/bin/app"}, {"-to=x", "/bin/app", "app"}, {"-stop_signal=TERM", "/bin/app", "app"}, {"-x"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q is understood", args)
		}
	}
}

func TestDecode(t *testing.T) {
	for address, want := range map[string]string{"0100007F:1F90": "127.0.0.1:8080", "00000000000000000000000001000000:0050": "[::1]:80", "x": "x"} {
		if got := decode(address); got != want && strings.Contains(address, ":") {
			t.Errorf("%s is %s, not %s", address, got, want)
		}
	}
}

// TestStranger: a port that somebody else took before the program is not the program's.
func TestStranger(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		user     int
		stranger bool
	}{{os.Geteuid(), false}, {os.Geteuid() + 1, os.Geteuid() != 0}} {
		if err := stranger(listeners(), port, tt.user); tt.stranger != (err != nil) {
			t.Errorf("before user %d: %v", tt.user, err)
		}
	}
	theirs := []listener{{address: "127.0.0.1:80", user: 7}}
	for port, want := range map[string]bool{"80": true, "81": false, "": false} {
		if err := stranger(theirs, port, 8); want != (err != nil) {
			t.Errorf("port %q: %v", port, err)
		}
	}
}

// TestTurn: the same port of the other loopback address is the program's only if a process
// of this worker listens there.
func TestTurn(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	address := "127.0.0.1:" + port
	f := &front{place: &place{network: "tcp", address: address, port: port}, upstream: &upstream{network: "tcp", address: address}}
	if f.turn() || f.upstream.address != address {
		t.Errorf("turned to a stranger on %s", f.upstream.address)
	}
}
