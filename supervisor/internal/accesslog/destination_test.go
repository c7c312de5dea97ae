//go:build linux

package accesslog

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/files"
)

func TestOpenFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(path("old"), []byte("old\n"), 0o600))
	must(os.Symlink("old", path("link")))
	must(os.Symlink("new", path("dangling")))
	must(os.Symlink("loop", path("loop")))
	must(unix.Mkfifo(path("unread"), 0o600))
	tests := []struct {
		name string
		want error
	}{
		{"old", nil},
		{"link", nil},
		{"dangling", nil},
		{"other", nil},
		{"loop", unix.ELOOP},
		{"unread", unix.ENXIO},
		{".", unix.EISDIR},
		{"missing/file", unix.ENOENT},
	}
	for _, test := range tests {
		d, err := newDestination(path(test.name), -1)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil {
			continue
		}
		if !d.regular {
			t.Errorf("%s is not taken for a file", test.name)
		}
		if n, err := d.write([]byte(test.name+"\n"), 0); n != len(test.name)+1 || err != nil {
			t.Errorf("%s: wrote %d, %v", test.name, n, err)
		}
		d.close()
	}
	if text, err := os.ReadFile(path("old")); string(text) != "old\nold\nlink\n" {
		t.Errorf("the old file has %q, %v", text, err)
	}
	if info, err := os.Stat(path("other")); err != nil || info.Mode() != 0o640 {
		t.Errorf("a new file: %v, %v", info.Mode(), err)
	}
}

func TestLinkOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make one")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(link, 12345, -1); err != nil {
		t.Fatal(err)
	}
	l, err := open(link, unix.Stdout, nil)
	if err == nil {
		l.Close()
		t.Fatal("it is followed")
	}
	if want := "cannot open the access log: " + link + " is a link made by user 12345, which is not followed"; err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// A file system that is full may take a part of a line.
func TestPartialLines(t *testing.T) {
	r, w, err := makePipe(maxPipe)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(w)
	// As a file, so that it is given more than there is room for.
	d := &destination{fd: w, name: "full", regular: true}
	var text strings.Builder
	for i := 0; text.Len() < 2*maxPipe; i++ {
		text.WriteString(testLine(1, i, 999))
	}
	var got bytes.Buffer
	buf := make([]byte, maxPipe)
	read := func(most int) {
		n, err := unix.Read(r, buf[:most])
		if err != nil {
			t.Fatal(err)
		}
		got.Write(buf[:n])
	}
	for lines := []byte(text.String()); len(lines) > 0; {
		n, err := d.write(lines, 0)
		if err != nil && err != errBusy {
			t.Fatal(err)
		}
		if lines = lines[n:]; err == errBusy {
			read(1 + got.Len()%9000)
		}
	}
	for got.Len() < text.Len() {
		read(maxPipe)
	}
	if got.String() != text.String() {
		t.Error("what was read is not what was written")
	}

	// A line that is given up is ended when there is room again.
	lines := []byte(text.String())
	n, err := d.write(lines, 0)
	if err != nil || d.partial == 0 {
		t.Fatalf("wrote %d and %d bytes, %v", n, d.partial, err)
	}
	unix.Close(r)
	if n, err := d.write(lines[n:], 0); n != 0 || !errors.Is(err, unix.EPIPE) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	path := filepath.Join(t.TempDir(), "file")
	fd, err := files.OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	d.fd = fd
	if n, err := d.write([]byte("a\n"), 0); n != 2 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if n, err := d.write([]byte("b\n"), 0); n != 2 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if got, err := os.ReadFile(path); string(got) != "\na\nb\n" {
		t.Errorf("the file has %q, %v", got, err)
	}
}

// lingering is a socket whose close takes seconds, as that of a file may whose server does
// not answer.
func lingering(t *testing.T) (fd int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	to := &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3}); err != nil {
		t.Fatal(err)
	}
	for err == nil { // nobody reads
		_, err = unix.SendmsgN(fd, make([]byte, 1<<20), nil, nil, unix.MSG_DONTWAIT)
	}
	return fd
}

// While a file is closed, which may take long, workers come and go.
func TestSlowClose(t *testing.T) {
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	fd := lingering(t)
	l.current = &destination{fd: fd, own: fd}
	moved := make(chan error)
	go func() { moved <- l.Move(filepath.Join(t.TempDir(), "access.log")) }()
	for there := true; there; { // until the other file is there
		l.mu.Lock()
		there = l.path == ""
		l.mu.Unlock()
	}
	w, err := l.Open(1, "combined")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(w)
	l.Retire(1)
	select {
	case err = <-moved:
		t.Error("who opens a pipe waits for the file to be closed")
	default:
		err = <-moved
	}
	if err != nil {
		t.Error(err)
	}
	l.finish()
}
