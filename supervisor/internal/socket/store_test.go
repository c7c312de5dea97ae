//go:build linux

package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// helperRestore is a master after a crash: it opens the addresses of BIND with what it finds in the descriptor store,
// prints where it listens and what it tells the store, and answers one connection on each socket.
func helperRestore() {
	o := Options{}
	activated, stored, err := Inherit(append(os.Environ(), fmt.Sprintf("LISTEN_PID=%d", os.Getpid())), o)
	var addresses []Address
	for text := range strings.FieldsSeq(os.Getenv("BIND")) {
		a, parseErr := Parse(text)
		addresses, err = append(addresses, a), errors.Join(err, parseErr)
	}
	s := activated
	if s == nil && err == nil {
		s, err = Open(addresses, o, stored)
	}
	err = errors.Join(err, stored.CloseUntaken(s))
	if err == nil {
		err = s.Listen()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	said := s.URLs()
	_, err = stored.Sync(
		func(name string, _ int) error { said = append(said, "keep "+name); return nil },
		func(name string) error { said = append(said, "drop "+name); return nil }, s)
	fmt.Println(strings.Join(said, " "), err)
	for _, fd := range s.Fds(0) {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != nil {
			fmt.Println(err)
			return
		}
		conn, _, err := unix.Accept(fd)
		if err == nil {
			_, err = unix.Write(conn, []byte("hello"))
			unix.Close(conn)
		}
		fmt.Println("answered", err)
	}
}

// crashed is what a master that died leaves to the store: a set that listens, whose descriptors this process holds in
// the place of the service manager.
func crashed(t *testing.T, texts ...string) (s *Set, address string) {
	t.Helper()
	s = listen(t, texts...)
	return s, strings.TrimPrefix(strings.Replace(s.URLs()[0], "unix://", "unix:", 1), "tcp://")
}

func TestStoredSockets(t *testing.T) {
	stored := func(url string) string {
		return storedPrefix + strings.ReplaceAll(strings.Replace(url, "://", "-", 1), ":", "_")
	}
	for _, c := range []struct {
		name   string
		before []string // where the master before listened
		do     func(t *testing.T, s *Set)
		names  []string // in the store; stored(url) when nil
		bind   string   // %s is where the first of them really was
		queued bool     // somebody who came before is answered
		drops  bool
	}{
		{name: "tcp", before: []string{"127.0.0.1:0"}, bind: "%s", queued: true},
		{name: "tcp of all addresses", before: []string{":0"}, bind: ":PORT", queued: true},
		{name: "tcp by name", before: []string{"127.0.0.1:0"}, bind: "localhost:PORT", queued: true},
		{name: "unix", before: []string{"unix:DIR/s"}, bind: "unix:DIR/s", queued: true},
		{name: "another port", before: []string{"127.0.0.1:0"}, bind: "127.0.0.1:0", drops: true},
		{name: "a part of it", before: []string{"0.0.0.0:0"}, bind: "127.0.0.1:PORT", drops: true},
		{name: "more than it", before: []string{"127.0.0.1:0"}, bind: ":PORT", drops: true},
		{name: "another path", before: []string{"unix:DIR/s"}, bind: "unix:DIR/r", drops: true},
		{
			name: "a stop under way", before: []string{"127.0.0.1:0"}, bind: "%s", drops: true,
			do: func(t *testing.T, s *Set) { must(t, s.Quiesce()) },
		},
		{
			name: "a stop under way, unix", before: []string{"unix:DIR/s"}, bind: "unix:DIR/s", drops: true,
			do: func(t *testing.T, s *Set) { must(t, s.Quiesce()) },
		},
		{
			name: "a socket that took the path", before: []string{"unix:DIR/s"}, bind: "unix:DIR/r", drops: true,
			do: func(t *testing.T, s *Set) {
				path := s.entries[0].path
				must(t, os.Remove(path))
				l, err := net.Listen("unix", path)
				must(t, err)
				t.Cleanup(func() {
					if _, err := os.Lstat(path); err != nil {
						t.Errorf("the path of somebody else is gone: %v", err)
					}
					l.Close()
				})
			},
		},
		{name: "with a socket of systemd's", before: []string{"127.0.0.1:0", "127.0.0.1:0"}, names: []string{storedPrefix + "x", "web"}, bind: "%s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for i := range c.before {
				c.before[i] = strings.ReplaceAll(c.before[i], "DIR", dir)
			}
			old, at := crashed(t, c.before...)
			names := c.names
			if names == nil {
				names = []string{stored(old.URLs()[0])}
			}
			var early net.Conn
			if c.queued {
				early = mustDial(t, old.URLs()[0])
			}
			if c.do != nil {
				c.do(t, old)
			}
			_, port, _ := net.SplitHostPort(at)
			bind := strings.NewReplacer("%s", at, "PORT", port, "DIR", dir).Replace(c.bind)
			p := start(t, "restore", old.Fds(0), "BIND="+bind, fmt.Sprintf("LISTEN_FDS=%d", old.Len()), "LISTEN_FDNAMES="+strings.Join(names, ":"))
			line := p.line(t)
			fields := strings.Fields(line)
			url := fields[0]
			switch {
			case c.names != nil:
				if want := old.URLs()[1] + " drop " + names[0] + " <nil>"; line != want {
					t.Fatalf("%q, want %q", line, want)
				}
			case c.drops:
				if !slices.Contains(fields, "drop") || fields[2] != names[0] || !slices.Contains(fields, "keep") {
					t.Fatalf("%q, want the stored socket dropped and the new one kept", line)
				}
				if !hungUp(t, old.Fds(0)[0]) {
					t.Error("the service manager does not notice that the socket is closed")
				}
			default:
				if line != old.URLs()[0]+" <nil>" {
					t.Fatalf("%q, want %q", line, old.URLs()[0])
				}
			}
			conn := early
			if conn == nil {
				conn = mustDial(t, url)
			}
			answer := make([]byte, 5)
			if _, err := conn.Read(answer); err != nil || string(answer) != "hello" {
				t.Errorf("answer %q, %v", answer, err)
			}
			if line := p.line(t); line != "answered <nil>" {
				t.Error(line)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hungUp says whether a descriptor looks so to a poll for nothing.
func hungUp(t *testing.T, fd int) bool {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd)}}
	_, err := unix.Poll(fds, 0)
	must(t, err)
	return fds[0].Revents&unix.POLLHUP != 0
}

// What is stored under a name of ours, and is nothing to listen on, is dropped.
func TestStoredNonsense(t *testing.T) {
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(null)
	name := storedPrefix + "x"
	p := start(t, "restore", []int{null}, "BIND=127.0.0.1:0", "LISTEN_FDS=1", "LISTEN_FDNAMES="+name)
	line := p.line(t)
	if !strings.Contains(line, " drop "+name+" keep "+storedPrefix+"tcp-127.0.0.1_") {
		t.Error(line)
	}
	mustDial(t, strings.Fields(line)[0]).Close()
}

func TestSync(t *testing.T) {
	var said []string
	busy := false
	say := func(what string) error {
		if busy {
			return errors.New("busy")
		}
		said = append(said, what)
		return nil
	}
	sync := func(kept *Set, wanted ...*Set) *Set {
		t.Helper()
		kept, err := kept.Sync(
			func(name string, fd int) error { return say("keep " + strings.TrimPrefix(name, storedPrefix)) },
			func(name string) error { return say("drop " + strings.TrimPrefix(name, storedPrefix)) }, wanted...)
		if (err != nil) != busy {
			t.Error(err)
		}
		return kept
	}
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
		said = nil
	}
	dir := t.TempDir()
	a, b := mustOpen(t, Options{}, "unix:"+dir+"/a"), listen(t, "unix:"+dir+"/b")
	path := "unix-" + filepath.Join(dir, "")

	kept := sync(nil, a)
	expect() // it does not listen
	must(t, a.Listen())
	busy = true
	kept = sync(kept, a, b)
	busy = false
	kept = sync(kept, a, b)
	expect("keep "+path+"/a", "keep "+path+"/b")
	kept = sync(kept, b, a)
	expect()
	must(t, a.Quiesce())
	busy = true
	kept = sync(kept, a, b)
	busy = false
	kept = sync(kept, a, b)
	expect("drop " + path + "/a")
	must(t, a.Listen())
	kept = sync(kept, a, b)
	expect("keep " + path + "/a")
	kept = sync(kept, a)
	expect("drop " + path + "/b")
	sync(kept)
	expect("drop " + path + "/a")
}

func TestStoredNames(t *testing.T) {
	s := &Set{entries: []entry{{name: storedPrefix + "unix-/a"}, {name: storedPrefix + "unix-/a~2"}}}
	for url, want := range map[string]string{
		"tcp://127.0.0.1:80":                 "tcp-127.0.0.1_80",
		"tcp://[fe80::1%eth0]:80":            "tcp-[fe80__1%eth0]_80",
		"unix:///a":                          "unix-/a~3",
		"unix:///a\nb c\xff\u00e9":           "unix-/a_b_c__",
		"unix://" + strings.Repeat("x", 300): "unix-" + strings.Repeat("x", maxStoredName-len(storedPrefix+"unix-")),
	} {
		if got := s.newName(url); got != storedPrefix+want {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
	}
}
