//go:build linux

package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// beside has an honest worker write 200 lines while another attacks, which must all
// arrive and be the only ones. The log is closed.
func beside(t *testing.T, l *Log, path string, attack func(stop <-chan struct{})) {
	t.Helper()
	stop := make(chan struct{})
	var attacker sync.WaitGroup
	attacker.Go(func() { attack(stop) })
	fd := writeEnd(t, l, 1)
	const lines = 200
	for i := range lines {
		// As a worker does it: what does not fit is dropped.
		if _, err := unix.Write(fd, []byte(testLine(1, i, 200))); err != nil {
			t.Errorf("line %d: %v", i, err)
		}
	}
	comes(func() bool {
		text, err := os.ReadFile(path)
		return err == nil && bytes.Count(text, []byte(" 1 \"-\" ok\n")) >= lines
	})
	close(stop)
	attacker.Wait()
	l.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	checkWhole(t, string(text), map[int]int{1: lines})
}

// attacked opens a log for an attack, of which it may complain.
func attacked(t *testing.T) (l *Log, path string, complaints chan error) {
	t.Helper()
	complaints = make(chan error, 100)
	path = filepath.Join(t.TempDir(), "access.log")
	l, err := open(path, unix.Stdout, func(err error) { complaints <- err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, path, complaints
}

// A worker that shrinks its pipe, and makes it block, does it to itself.
func TestShrinkingWorker(t *testing.T) {
	l, path, _ := attacked(t)
	fd := writeEnd(t, l, 2)
	for _, err := range []error{
		func() error { _, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, 4096); return err }(),
		unix.SetNonblock(fd, false),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	other := writeEnd(t, l, 3)
	if size, err := unix.FcntlInt(uintptr(other), unix.F_GETPIPE_SZ, 0); err != nil || size < leastPipe {
		t.Errorf("the pipe of another has %d bytes, %v", size, err)
	}
	for _, fd := range []int{other, writeEnd(t, l, 4)} {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("the pipe of another is blocking: %x, %v", flags, err)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("a pipe goes to every child: %x, %v", flags, err)
		}
	}
	beside(t, l, path, func(<-chan struct{}) {})
}

// Half a line runs into no line of another.
func TestTearingWorker(t *testing.T) {
	l, path, _ := attacked(t)
	fd := writeEnd(t, l, 2)
	beside(t, l, path, func(stop <-chan struct{}) {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_, _ = unix.Write(fd, []byte(testLine(1, i, 150)[:40]))
			}
		}
	})
}

// What names another worker, or drives a terminal, is not written down.
func TestForgingWorker(t *testing.T) {
	l, path, complaints := attacked(t)
	fd := writeEnd(t, l, 2)
	forged := []string{
		testLine(1, 7, 150), testLine(1, 8, 150),
		"\x1b]0;owned\a\x1b[2J\n", "\n", string(bytes.Repeat([]byte{0, 0xff, 'x', '\r'}, 3000)) + "\n",
		`{"worker":1}` + "\n",
	}
	for _, line := range forged {
		send(fd, []byte(line)[:min(len(line), MaxLine)])
		send(fd, []byte(line)[min(len(line), MaxLine):])
	}
	beside(t, l, path, func(<-chan struct{}) {})
	if int(l.Lost()) != len(forged) {
		t.Errorf("%d lines were refused, not %d", l.Lost(), len(forged))
	}
	if len(complaints) != 1 {
		t.Errorf("%d complaints", len(complaints))
	}
	if err := <-complaints; !strings.HasPrefix(err.Error(), "worker 2 wrote what is not a line of its own") || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("it is said %q", err)
	}
}

// A worker that writes without end is read at its rate, and its neighbour's lines all
// arrive at once.
func TestFloodingWorker(t *testing.T) {
	l, path, complaints := attacked(t)
	fd := writeEnd(t, l, 2)
	var begin time.Time
	flood := []byte(strings.Repeat("\n", MaxLine))
	var written int
	beside(t, l, path, func(stop <-chan struct{}) {
		for begin = time.Now(); ; {
			select {
			case <-stop:
				if time.Since(begin) > 2*time.Second {
					return
				}
			default:
			}
			if n, err := unix.Write(fd, flood); err == nil {
				written += n
			} else if err != unix.EAGAIN {
				t.Error(err)
				return
			}
		}
	})
	took := time.Since(begin)
	// An empty line counts as many bytes.
	if most := int(Rate*(took+burst).Seconds()) / leastCost; written > most+2*maxPipe {
		t.Errorf("%d lines in %s", written, took)
	}
	if l.Lost() == 0 {
		t.Error("what was refused is not counted")
	}
	said := map[string]int{}
	for len(complaints) > 0 {
		said[strings.Join(strings.Fields((<-complaints).Error())[:4], " ")]++
	}
	if want := map[string]int{"worker 2 writes more": 1, "worker 2 wrote what": 1}; fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("it is said %v", said)
	}
}

// A worker within its rate loses nothing, even where it is close to it.
func TestBusyWorkerLosesNothing(t *testing.T) {
	l, path, complaints := attacked(t)
	fd := writeEnd(t, l, 1)
	const lines, size = 20_000, 300 // what 20,000 requests of a second write
	for i := range lines {
		send(fd, []byte(testLine(1, i, size)))
	}
	l.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	checkWhole(t, string(text), map[int]int{1: lines})
	if l.Lost() != 0 || len(complaints) != 0 {
		t.Errorf("%d lines were lost, %d complaints", l.Lost(), len(complaints))
	}
}

// When a worker is gone, what it wrote before arrives, whoever still has its pipe,
// and what that one writes later does not.
func TestRetire(t *testing.T) {
	l, path, complaints := attacked(t)
	fd := writeEnd(t, l, 1)
	for i := range 1000 {
		send(fd, []byte(testLine(1, i, 200)))
	}
	send(fd, []byte(testLine(1, 1000, 200)[:50])) // which it did not get to end
	l.Retire(1)
	l.Retire(1)
	l.Retire(2)
	closed := func() bool {
		_, err := unix.Write(fd, []byte("\n"))
		return err == unix.EPIPE
	}
	if !comes(closed) {
		t.Error("the pipe is still there")
	}
	l.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	checkWhole(t, string(text), map[int]int{1: 1000})
	if l.Lost() == 0 || len(complaints) == 0 {
		t.Error("half a line was lost without a word")
	}
	if len(l.pipes)+len(l.retired) != 0 {
		t.Errorf("%d pipes are left", len(l.pipes))
	}
}

// The pipe of a worker that is gone before there is a file is not kept.
func TestRetireBeforeTheFile(t *testing.T) {
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fd := writeEnd(t, l, 1)
	send(fd, []byte("a\nb\n"))
	l.Retire(1)
	if _, err := unix.Write(fd, []byte("c\n")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("the pipe is still there: %v", err)
	}
	if l.Lost() != 2 {
		t.Errorf("%d lines were lost", l.Lost())
	}
}

// All pipes are closed when nobody can write to them any more, and the log sleeps.
func TestEndsOfPipes(t *testing.T) {
	l, path, _ := attacked(t)
	const workers = 300
	var want strings.Builder
	for id := 1; id <= workers; id++ {
		fd, err := l.Open(id, "combined")
		if err != nil {
			t.Fatal(err)
		}
		line := testLine(id, 0, 150)
		want.WriteString(line)
		send(fd, []byte(line))
		unix.Close(fd)
	}
	left := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.pipes)
	}
	if !comes(func() bool { return left() == 0 }) {
		t.Errorf("%d pipes are left", left())
	}
	text, err := os.ReadFile(path)
	if err != nil || len(text) != want.Len() {
		t.Errorf("%d bytes, not %d: %v", len(text), want.Len(), err)
	}
}

// Large pipes are for those who come first.
func TestPipeSize(t *testing.T) {
	sum := 0
	for others := range 1000 {
		size := pipeSize(others)
		if size < leastPipe || size > maxPipe {
			t.Errorf("%d bytes", size)
		}
		if size > leastPipe {
			sum += size
		}
	}
	if pipeSize(0) != maxPipe || pipeSize(100) != leastPipe || sum > 20<<20 {
		t.Errorf("%d bytes in all", sum)
	}
}
