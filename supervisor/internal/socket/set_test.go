//go:build linux

package socket

import (
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReloadKeepsSocketsOfTheSameAddress(t *testing.T) {
	path := t.TempDir() + "/s"
	before := listen(t, "127.0.0.1:0", "unix:"+path, "127.0.0.1:0")
	texts := []string{"[::1]:0", "unix:" + path, "127.0.0.1:0"}
	after, err := Open(mustParse(t, texts...), Options{}, nil, before)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if after.Fds(0)[1] != before.Fds(0)[1] || after.Fds(0)[2] != before.Fds(0)[0] {
		t.Errorf("sockets %v of %v were not taken over", after.Fds(0), before.Fds(0))
	}
	if got, want := after.Names(0), []string{"bind0", "bind1", "bind2"}; !slices.Equal(got, want) {
		t.Errorf("names %q", got)
	}
	if err := after.Listen(); err != nil {
		t.Fatal(err)
	}
	leaving := before.Without(after)
	if leaving.Len() != 1 || leaving.Fds(0)[0] != before.Fds(0)[2] {
		t.Errorf("leaving: %v of %v", leaving.Fds(0), before.Fds(0))
	}
	if bits := before.Bits(leaving); bits != 0b100 {
		t.Errorf("bits %b", bits)
	}
	if err := leaving.Close(); err != nil {
		t.Fatal(err)
	}
	for _, url := range after.URLs() {
		mustDial(t, url)
	}
	if _, err := dial(t, before.URLs()[2]); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the address that left: %v", err)
	}
}

// Another way of writing the same place is the same socket: there is nothing to bind.
func TestReloadKeepsSocketsUnderAnotherName(t *testing.T) {
	before := listen(t, "localhost:0", ":0")
	_, p0, _ := net.SplitHostPort(strings.TrimPrefix(before.URLs()[0], "tcp://"))
	_, p1, _ := net.SplitHostPort(strings.TrimPrefix(before.URLs()[1], "tcp://"))
	texts := []string{"127.0.0.1:" + p0, "[::]:" + p1}
	after, err := Open(mustParse(t, texts...), Options{}, before)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before.Fds(0), after.Fds(0)) {
		t.Errorf("%v became %v", before.Fds(0), after.Fds(0))
	}
}

func TestOpenIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before := listen(t, "127.0.0.1:0", "unix:"+dir+"/kept")
	busy := listen(t, "127.0.0.1:0")
	taken := strings.TrimPrefix(busy.URLs()[0], "tcp://")
	for _, last := range []string{taken, "unix:" + dir + "/file", "unix:" + dir + "/none/s", "192.0.2.1:0", "fd://999", "unix:" + dir + "/new"} {
		descriptors := openDescriptors(t)
		texts := []string{"127.0.0.1:0", "unix:" + dir + "/kept", "unix:" + dir + "/new", "[::1]:0", last}
		after, err := Open(mustParse(t, texts...), Options{}, before)
		e, ok := errors.AsType[*Error](err)
		if !ok || after != nil {
			t.Fatalf("%s: %v, %v", last, after, err)
		}
		if !strings.Contains(e.Error(), last) {
			t.Errorf("the error does not name %s: %v", last, err)
		}
		if n := openDescriptors(t); n != descriptors {
			t.Errorf("%s: %d descriptors became %d", last, descriptors, n)
		}
		if _, err := os.Lstat(dir + "/new"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the new path is still there: %v", last, err)
		}
		for _, url := range before.URLs() {
			mustDial(t, url)
		}
	}
}

func TestOwnSocketsInTheWay(t *testing.T) {
	before := listen(t, "0.0.0.0:0")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(before.URLs()[0], "tcp://"))
	for _, c := range []struct{ addresses, message, hint string }{
		{"127.0.0.1:" + port, "by this master's own tcp://0.0.0.0:" + port, "stop and start the master"},
		{"[::]:" + port, "by this master's own tcp://0.0.0.0:" + port, "stop and start the master"},
		{"0.0.0.0:" + port + ",127.0.0.1:" + port, "by this master's own tcp://0.0.0.0:" + port, "leave the other out"},
		{"0.0.0.0:" + port + ",0.0.0.0:" + port, "listed twice", "leave one"},
	} {
		_, err := Open(mustParse(t, strings.Split(c.addresses, ",")...), Options{}, before)
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(e.Error(), c.message) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: %v", c.addresses, err)
		}
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, Options{}, "127.0.0.1:"+port)
}

func TestPassedDescriptors(t *testing.T) {
	outer := listen(t, "127.0.0.1:0")
	fd, err := unix.Dup(outer.Fds(0)[0])
	if err != nil {
		t.Fatal(err)
	}
	address := Address{kind: passed, fd: fd}
	s, err := Open([]Address{address}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.URLs()[0] != outer.URLs()[0] || s.Fds(0)[0] != fd {
		t.Errorf("%s on %d", s.URLs()[0], s.Fds(0)[0])
	}
	again, err := Open([]Address{address}, Options{}, s)
	if err != nil || again.Fds(0)[0] != fd {
		t.Errorf("reload: %v, %v", again, err)
	}
	own := Address{kind: passed, fd: outer.Fds(0)[0]}
	if _, err := Open([]Address{own}, Options{}, outer); err == nil || !strings.Contains(err.Error(), "this master's own") {
		t.Errorf("a descriptor of the master itself: %v", err)
	}
	if err := errors.Join(s.Quiesce(), s.Close()); err != nil {
		t.Fatal(err)
	}
	mustDial(t, outer.URLs()[0]) // whoever passed it goes on
}

func TestNilAndEmptySets(t *testing.T) {
	var none *Set
	if none.Len() != 0 || none.Without(nil).Len() != 0 || none.Bits(nil) != 0 || none.Queue() != 0 || len(none.Names(0)) != 0 {
		t.Error("a nil set is not empty")
	}
	if err := errors.Join(none.Listen(), none.Reapply(), none.Quiesce(), none.Close()); err != nil {
		t.Error(err)
	}
	s := listen(t, "127.0.0.1:0")
	if err := errors.Join(s.Close(), s.Close(), s.Quiesce()); err != nil {
		t.Error(err)
	}
}
