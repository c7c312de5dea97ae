//go:build linux

package socket

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// helperVariable names the helper that a re-executed test binary is to run.
const helperVariable = "SOCKET_TEST_HELPER"

// noExitSleep keeps the race detector of a helper from waiting a second before it exits.
const noExitSleep = "GORACE=atexit_sleep_ms=0"

// testTimeout is the absurd cap on waiting for an event that comes at once.
const testTimeout = 60 * time.Second

// helpers are programs that tests run as real processes. They talk over stdin and stdout, a line at a time.
var helpers = map[string]func(){
	"accept":    helperAccept,
	"elsewhere": helperElsewhere,
	"spoil":     helperSpoil,
	"inherit":   helperInherit,
	"restore":   helperRestore,
	"validate":  helperValidate,
}

var helpersUsed = make(map[string]bool)

func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv(helperVariable); ok {
		helpers[name]()
		os.Exit(0)
	}
	syscall.Umask(0o022) // whoever runs the tests may have another
	code := m.Run()
	if filtered := slices.ContainsFunc(os.Args, func(a string) bool {
		return strings.HasPrefix(a, "-test.run=") || strings.HasPrefix(a, "-test.bench=") || strings.HasPrefix(a, "-test.fuzz")
	}); code == 0 && !filtered {
		for name := range maps.Keys(helpers) {
			if !helpersUsed[name] {
				fmt.Fprintf(os.Stderr, "no test runs the helper %q\n", name)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// A child is a helper that runs.
type child struct {
	pid    int
	in     *os.File
	out    *bufio.Reader
	exited chan syscall.WaitStatus
}

// start runs a helper with fds as its descriptors 3, 4, ... the way the supervisor spawns: raw, without os.File.
func start(t *testing.T, helper string, fds []int, env ...string) *child {
	t.Helper()
	helpersUsed[helper] = true
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	files := []uintptr{inR.Fd(), outW.Fd(), 2}
	for _, fd := range fds {
		files = append(files, uintptr(fd))
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{helper}, &syscall.ProcAttr{
		Env:   append(append(os.Environ(), env...), helperVariable+"="+helper, noExitSleep),
		Files: files,
	})
	if err != nil {
		t.Fatal(err)
	}
	inR.Close()
	outW.Close()
	outR.SetReadDeadline(time.Now().Add(testTimeout))
	c := &child{pid: pid, in: inW, out: bufio.NewReader(outR), exited: make(chan syscall.WaitStatus, 1)}
	go func() {
		var status syscall.WaitStatus
		for {
			if _, err := syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
				break
			}
		}
		c.exited <- status
	}()
	t.Cleanup(func() {
		inW.Close() // ends the helper
		select {
		case status := <-c.exited:
			if status.ExitStatus() != 0 {
				t.Errorf("helper %s: %v", helper, status)
			}
		case <-time.After(testTimeout):
			syscall.Kill(pid, syscall.SIGKILL)
			t.Errorf("helper %s hung", helper)
		}
		outR.Close()
	})
	return c
}

// line is the next line the helper prints.
func (c *child) line(t *testing.T) string {
	t.Helper()
	s, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("reading from the helper: %v (got %q)", err, s)
	}
	return strings.TrimSuffix(s, "\n")
}

// untilEOF keeps a helper alive until its test is over.
func untilEOF() { io.Copy(io.Discard, os.Stdin) }

// tool is the path of a program that tests need.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func mustParse(t *testing.T, texts ...string) []Address {
	t.Helper()
	var as []Address
	for _, text := range texts {
		a, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		as = append(as, a)
	}
	return as
}

// mustOpen opens addresses for the length of the test.
func mustOpen(t *testing.T, o Options, texts ...string) *Set {
	t.Helper()
	s, err := Open(mustParse(t, texts...), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// listen is mustOpen and Listen.
func listen(t *testing.T, texts ...string) *Set {
	t.Helper()
	s := mustOpen(t, Options{}, texts...)
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	return s
}

// accept takes one connection from a non-blocking listener and returns its descriptor.
func accept(t *testing.T, fd int) int {
	t.Helper()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(testTimeout.Milliseconds())); n != 1 {
		t.Fatalf("nothing to accept: %v", err)
	}
	conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func option(t *testing.T, fd, level, name int) int {
	t.Helper()
	v, err := unix.GetsockoptInt(fd, level, name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func nonblocking(t *testing.T, fd int) bool {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.O_NONBLOCK != 0
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
