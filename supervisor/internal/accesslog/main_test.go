//go:build linux

package accesslog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also the worker: with workerEnv set, to its id and a number, it
// writes that many lines to its descriptor 3 instead of running the tests.
const workerEnv = "ACCESSLOG_TEST_WORKER"

// testTimeout is the cap on waiting for something that always happens.
const testTimeout = 30 * time.Second

func TestMain(m *testing.M) {
	var id, n int
	if _, err := fmt.Sscan(os.Getenv(workerEnv), &id, &n); err == nil {
		work(id, n)
		os.Exit(0)
	}
	syscall.Umask(0o022) // whoever runs the tests may have another
	os.Exit(m.Run())
}

// work is the worker: lines of every length, each with what is needed to see
// that it is whole.
func work(id, n int) {
	rng := rand.New(rand.NewPCG(uint64(id), 0))
	for i := range n {
		size := 120 + rng.IntN(400)
		if i%20 == 0 {
			size = MaxLine - rng.IntN(2)
		}
		send(3, []byte(testLine(id, i, size)))
	}
}

// testLine is line i of a worker, size bytes in all.
func testLine(id, i, size int) string {
	head := fmt.Sprintf(`%d/%d/%d - - [02/Jan/2026:15:04:05 +0000] "GET /`, id, i, size)
	tail := fmt.Sprintf(` HTTP/1.1" 200 12 "-" "-" 0.000123 - %d "-" ok`, id)
	return head + strings.Repeat("x", size-len(head)-len(tail)-1) + tail + "\n"
}

// send waits for room, where a real worker would drop.
func send(fd int, b []byte) {
	for {
		n, err := unix.Write(fd, b)
		switch {
		case err == unix.EAGAIN:
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		case err == unix.EINTR:
		case err != nil || n != len(b):
			fmt.Fprintln(os.Stderr, "worker: wrote", n, "of", len(b), err)
			os.Exit(99)
		default:
			return
		}
	}
}

// startWorker starts a worker; wait returns when it has ended.
func startWorker(t *testing.T, l *Log, id, lines int) (wait func()) {
	t.Helper()
	fd := writeEnd(t, l, id)
	pid, _, err := syscall.StartProcess("/proc/self/exe", []string{"worker"}, &syscall.ProcAttr{
		Env:   []string{fmt.Sprintf("%s=%d %d", workerEnv, id, lines)},
		Files: []uintptr{0, 1, 2, uintptr(fd)},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if state, err := p.Wait(); err != nil || !state.Success() {
			t.Errorf("worker %d: %v, %v", id, state, err)
		}
	}
}

// writeEnd is that of the pipe of a worker, closed at the end of the test.
func writeEnd(t *testing.T, l *Log, id int) int {
	t.Helper()
	fd, err := l.Open(id, "combined")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// open makes a log that goes to a file from the beginning.
func open(path string, stdout int, report func(error)) (*Log, error) {
	l, err := create(stdout, report)
	if err != nil {
		return nil, err
	}
	if err := l.Move(path); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// openLog opens a log for one test, which must lose nothing.
func openLog(t *testing.T, path string) *Log {
	t.Helper()
	l, err := open(path, unix.Stdout, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// blockedLog opens a log whose stdout is a pipe that is full.
func blockedLog(t *testing.T, report func(error)) *Log {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	fill(t, int(w.Fd()))
	l, err := open("-", int(w.Fd()), report)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// fill writes newlines to a pipe until it takes no more, and leaves it blocking.
func fill(t *testing.T, fd int) {
	t.Helper()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{bytes.Repeat([]byte("\n"), MaxLine), []byte("\n")} {
		var err error
		for err == nil {
			_, err = unix.Write(fd, b)
		}
		if err != unix.EAGAIN {
			t.Fatal(err)
		}
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a file to have these contents.
func eventually(t *testing.T, path, want string) {
	t.Helper()
	var got []byte
	if comes(func() bool {
		var err error
		got, err = os.ReadFile(path)
		return err == nil && string(got) == want
	}) {
		return
	}
	t.Fatalf("%s has %d bytes (%.200q), not %d (%.200q)", filepath.Base(path), len(got), got, len(want), want)
}

// comes reports whether a condition comes to hold, of which nobody tells.
func comes(holds func() bool) bool {
	for start := time.Now(); !holds(); time.Sleep(time.Millisecond) { // between two looks
		if time.Since(start) > testTimeout {
			return false
		}
	}
	return true
}

// checkWhole checks that there are all lines of some workers, whole and each
// worker's in their order.
func checkWhole(t *testing.T, text string, workers map[int]int) {
	t.Helper()
	next := map[int]int{}
	for line := range strings.Lines(text) {
		var id, i, size int
		if _, err := fmt.Sscanf(line, "%d/%d/%d ", &id, &i, &size); err != nil || line != testLine(id, i, size) {
			t.Fatalf("torn: %.80q", line)
		}
		if i != next[id] {
			t.Fatalf("worker %d: line %d instead of %d", id, i, next[id])
		}
		next[id]++
	}
	for id, n := range workers {
		if next[id] != n {
			t.Errorf("worker %d: %d lines instead of %d", id, next[id], n)
		}
	}
}
