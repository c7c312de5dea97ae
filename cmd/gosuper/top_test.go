//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/control"
)

// screenTest is gosuper top on a terminal of its own.
type screenTest struct {
	t        *testing.T
	terminal *os.File // our end
	line     *os.File // the other one, whose settings are looked at
	before   unix.Termios
	cmd      *exec.Cmd
	done     chan struct{} // closed when all output has been read

	mu   sync.Mutex // guards what follows
	text bytes.Buffer
	news chan struct{}
}

// startTop starts it with a master that says what status says.
func startTop(t *testing.T, status func() control.Status) *screenTest {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "control")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(status())
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })

	s := &screenTest{t: t, news: make(chan struct{}), done: make(chan struct{})}
	if s.terminal, s.line, err = openTerminal(); err != nil {
		t.Fatal(err)
	}
	s.resize(120, 20)
	s.before = s.settings()
	s.cmd = exec.Command(ownProgram(t, dir), "top", "--control", path)
	s.cmd.Env = append(os.Environ(), "TERM=xterm")
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = s.line, s.line, s.line
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.read()
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.line.Close()
		<-s.done
		s.terminal.Close()
	})
	return s
}

func (s *screenTest) read() {
	defer close(s.done)
	var buffer [4096]byte
	for {
		n, err := s.terminal.Read(buffer[:])
		if err != nil {
			return
		}
		s.mu.Lock()
		s.text.Write(buffer[:n])
		close(s.news)
		s.news = make(chan struct{})
		s.mu.Unlock()
	}
}

// await waits until the text was written, and forgets all up to it.
func (s *screenTest) await(text string) {
	s.t.Helper()
	for timeout := time.After(testTimeout); ; {
		s.mu.Lock()
		news := s.news
		before, rest, found := strings.Cut(s.text.String(), text)
		if found {
			s.text.Reset()
			s.text.WriteString(rest)
		}
		s.mu.Unlock()
		if found {
			return
		}
		select {
		case <-news:
		case <-timeout:
			s.t.Fatalf("waited in vain for %q; the screen said %q", text, before)
		}
	}
}

func (s *screenTest) press(keys string) {
	s.t.Helper()
	if _, err := s.terminal.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screenTest) resize(width, height uint16) {
	s.t.Helper()
	if err := unix.IoctlSetWinsize(int(s.terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screenTest) settings() unix.Termios {
	s.t.Helper()
	t, err := unix.IoctlGetTermios(int(s.line.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *t
}

// quits waits for the end, with the terminal as it was.
func (s *screenTest) quits() {
	s.t.Helper()
	s.await(screenOff)
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			s.t.Error(err)
		}
	case <-time.After(testTimeout):
		s.t.Fatal("it does not end")
	}
	if after := s.settings(); after != s.before {
		s.t.Errorf("the terminal is left as %+v, was %+v", after, s.before)
	}
}

// TestTop uses it as people do, on a terminal.
func TestTop(t *testing.T) {
	var mu sync.Mutex
	requests := uint64(0)
	s := startTop(t, func() control.Status {
		mu.Lock()
		defer mu.Unlock()
		requests += 10
		return fleetOf(3, requests)
	})
	s.await(screenOn)
	s.await("3 of 3 workers ready")
	s.await("sort:  i id*")
	if s.settings() == s.before {
		t.Error("keys are not read one by one")
	}
	s.press("f")
	s.await("f in flight*")
	s.press("\x1b[1;5A\x1bOqm") // an arrow and a function key before the m
	s.await("m memory*")
	s.await("\x1b[H")
	s.resize(40, 6)
	s.await("... and 3 more")
	s.resize(120, 20)
	s.await("m memory*  a age  r restarts")
	s.press("q")
	s.quits()
}

func TestTopQuits(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*screenTest)
	}{
		{"Ctrl-C", func(s *screenTest) { s.press("\x03") }},
		{"Ctrl-D", func(s *screenTest) { s.press("\x04") }},
		{"SIGTERM", func(s *screenTest) { s.cmd.Process.Signal(syscall.SIGTERM) }},
		{"SIGINT", func(s *screenTest) { s.cmd.Process.Signal(syscall.SIGINT) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := startTop(t, func() control.Status { return fleetOf(1, 1) })
			s.await("q quit")
			tc.end(s)
			s.quits()
		})
	}
}

// Where there is no terminal, or no master, it says so and leaves no trace.
func TestTopCannot(t *testing.T) {
	var stdout, stderr bytes.Buffer
	dir := t.TempDir()
	cmd := exec.Command(ownProgram(t, dir), "top", "--control", filepath.Join(dir, "control"))
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != exitRuntime {
		t.Errorf("it ends with %v", err)
	}
	if want := "gosuper: error: top needs a terminal\ngosuper: hint: gosuper status prints the same once\n"; stderr.String() != want || stdout.Len() > 0 {
		t.Errorf("it says %q and %q", &stdout, &stderr)
	}
}
