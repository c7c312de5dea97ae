//go:build linux

package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// reader reads a pipe to its end and keeps the sum of what it read.
type reader struct {
	w    *os.File
	done chan struct{} // closed at the end
	sum  hash.Hash
	n    int64
}

func newReader(t *testing.T) *reader {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{w: to, done: make(chan struct{}), sum: sha256.New()}
	go func() {
		r.n, _ = io.Copy(r.sum, from)
		from.Close()
		close(r.done)
	}()
	return r
}

// What a worker writes to stderr goes through the master byte for byte, and costs
// it little more time than writing to the master's own stderr would. Its stdout goes
// to the master's.
func TestStderrIsPassedOn(t *testing.T) {
	amount := tenth(100 << 20)
	want := sha256.New()
	io.Copy(want, noise(int64(amount)))

	direct := newReader(t)
	path := filepath.Join(t.TempDir(), "s")
	cmd := exec.Command(self, as("loud", strconv.Itoa(amount))[1:]...)
	cmd.Env = append(cleanEnviron(), "E2E_ADDR=unix:"+path)
	cmd.Stderr = direct.w
	alone := startAlone(t, cmd, path)
	direct.w.Close()
	before := alone.took(t)
	alone.stop(t)
	<-direct.done

	through := newReader(t)
	var stdout lockedBuffer
	m := start(t, launch{
		config: config("workers = 1", command(as("loud", strconv.Itoa(amount))...)),
		stderr: through.w, stdout: &stdout,
	})
	through.w.Close()
	m.wait(t, 0, "ready", nil)
	_, body, err := m.get("/took")
	if err != nil {
		t.Fatal(err)
	}
	ns, _ := strconv.Atoi(body)
	after := time.Duration(ns)
	m.signal(syscall.SIGTERM)
	m.end()
	<-through.done
	t.Logf("%d MiB of stderr: %v to the reader itself, %v through the master", amount>>20, before, after)
	if through.n != int64(amount) || !bytes.Equal(through.sum.Sum(nil), want.Sum(nil)) {
		t.Errorf("%d bytes arrived of %d, or other ones", through.n, amount)
	}
	if limit := 10*before + time.Second; after > limit && !raceEnabled {
		t.Errorf("writing through the master took %v, more than %v", after, limit)
	}
	if stdout.String() != "on stdout\n" {
		t.Errorf("stdout is %q", stdout.String())
	}
}

// lockedBuffer is a buffer that exec.Cmd may write to while it is read.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A master whose stderr nobody reads any more goes on: it neither dies of the pipe
// that is gone nor waits for the one that is full.
func TestStderrIsNotRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		open func(t *testing.T) *os.File
	}{
		{"reader gone", func(t *testing.T) *os.File {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			return w
		}},
		{"pipe full", func(t *testing.T) *os.File {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			// Blocking for the master, but not for us.
			fill, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), os.O_WRONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer fill.Close()
			for {
				if _, err := syscall.Write(int(fill.Fd()), make([]byte, 1)); err != nil {
					return w
				}
			}
		}},
		{"disk full", func(t *testing.T) *os.File {
			f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}},
	} {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s log there %v", tc.name, own), func(t *testing.T) {
				t.Parallel()
				stderr := tc.open(t)
				defer stderr.Close()
				socket := filepath.Join(t.TempDir(), "s")
				// They may die before the master has heard that they are ready.
				l := launch{config: config(fmt.Sprintf("bind = [%q]", "unix:"+socket), "[restart]", "startup_attempts = 100", `backoff_max = "100ms"`), stderr: stderr}
				if own {
					// The log goes to stderr as well, so that nothing is heard of the master.
					l.args = []string{"--error-logfile", "-"}
				}
				m := start(t, l)
				// Workers that die and write last words, and a reload.
				for range 5 {
					ask(t, socket, "/exit")
				}
				m.signal(syscall.SIGHUP)
				generation := ""
				for begin := time.Now(); generation != "generation 2\n"; {
					if generation = ask(t, socket, "/"); time.Since(begin) > testTimeout {
						t.Fatal("the reload does not come to its end")
					}
				}
				m.signal(syscall.SIGTERM)
				if code := m.end(); code != 0 {
					t.Errorf("exit status %d", code)
				}
			})
		}
	}
}
