//go:build linux

package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tailTo returns a Tail and a file for its write end.
func tailTo(t *testing.T, dst io.Writer) (*Tail, *os.File) {
	t.Helper()
	tail, err := NewTail(Stderr, dst)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(uintptr(tail.WriteEnd()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	tail.CloseWriteEnd()
	w := os.NewFile(uintptr(fd), "stderr")
	t.Cleanup(func() { w.Close(); tail.Close() })
	return tail, w
}

// gate is a destination that blocks until it is opened.
type gate struct {
	bytes.Buffer
	entered chan struct{}
	open    chan struct{}
	once    sync.Once
}

func newGate() *gate { return &gate{entered: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) Write(b []byte) (int, error) {
	g.once.Do(func() { close(g.entered) })
	<-g.open
	return g.Buffer.Write(b)
}

func TestTailPassesEveryByte(t *testing.T) {
	var got bytes.Buffer
	tail, w := tailTo(t, &got)
	rng := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 3<<20)
	for i := range want {
		want[i] = byte(rng.Uint32())
	}
	for rest := want; len(rest) > 0; {
		n := min(len(rest), 1+rng.IntN(100_000))
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	tail.Drain(testTimeout)
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("what was passed on is not what was written")
	}
	if kept := tail.kept.ring.bytes(); !bytes.Equal(kept, want[len(want)-keep:]) {
		t.Errorf("kept %d bytes, and not the last %d that were written", len(kept), keep)
	}
}

// A worker's stderr blocks, as any other program's does, while the master's
// end of it must not hold a thread.
func TestTailPipeModes(t *testing.T) {
	_, w := tailTo(t, io.Discard)
	conn, err := w.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	conn.Control(func(fd uintptr) {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("the worker's stderr is non-blocking: %#x, %v", flags, err)
		}
	})
}

// writes records each Write.
type writes struct{ list []string }

func (w *writes) Write(b []byte) (int, error) {
	w.list = append(w.list, string(b))
	return len(b), nil
}

func TestTailKeepsWritesWhole(t *testing.T) {
	const count, size = 300, 4096 // PIPE_BUF
	var got writes
	tail, w := tailTo(t, &got)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			line := strings.Repeat(string(rune('a'+i)), size-1) + "\n"
			for range count {
				w.Write([]byte(line))
			}
		})
	}
	wg.Wait()
	tail.Drain(testTimeout)
	n := 0
	for _, piece := range got.list {
		if len(piece)%size != 0 {
			t.Fatalf("a write was split: piece of %d bytes", len(piece))
		}
		n += len(piece)
	}
	if n != 4*count*size {
		t.Errorf("%d bytes arrived, want %d", n, 4*count*size)
	}
}

// The last words are known although the destination takes nothing, and are
// passed on once and in order when it does.
func TestTailLinesBehindABlockedDestination(t *testing.T) {
	g := newGate()
	tail, w := tailTo(t, g)
	w.WriteString("first\n")
	<-g.entered
	w.WriteString("second\nlast")
	w.Close()
	for range 2 {
		if got := tail.Lines(9); !slices.Equal(got, []string{"first", "second", "last"}) {
			t.Errorf("the last words are %q", got)
		}
	}
	if got := tail.LinesSince(tail.kept.ring.written, 9); !slices.Equal(got, []string{"second", "last"}) {
		t.Errorf("behind what was read are %q", got)
	}
	if tail.Drain(time.Millisecond) {
		t.Error("it is drained although nothing was passed on")
	}
	close(g.open)
	if !tail.Drain(testTimeout) || g.String() != "first\nsecond\nlast" {
		t.Errorf("passed on: %q", g.String())
	}
	if got := tail.Lines(9); !slices.Equal(got, []string{"first", "second", "last"}) {
		t.Errorf("the last words are %q", got)
	}
}

func TestTailDrain(t *testing.T) {
	t.Run("at the end", func(t *testing.T) {
		var got bytes.Buffer
		tail, w := tailTo(t, &got)
		w.WriteString("last words\n")
		w.Close()
		tail.Drain(testTimeout)
		if lines := tail.Lines(5); !slices.Equal(lines, []string{"last words"}) || got.String() != "last words\n" {
			t.Errorf("lines %q, passed on %q", lines, got.String())
		}
	})
	t.Run("pipe held by another process", func(t *testing.T) {
		var got bytes.Buffer
		tail, w := tailTo(t, &got)
		w.WriteString("last words\n")
		tail.Drain(testTimeout) // w stays open
		if got.String() != "last words\n" {
			t.Errorf("passed on %q", got.String())
		}
	})
	t.Run("nothing written", func(t *testing.T) {
		tail, _ := tailTo(t, io.Discard)
		tail.Drain(testTimeout)
		if lines := tail.Lines(5); lines != nil {
			t.Errorf("lines %q", lines)
		}
	})
	t.Run("destination blocks", func(t *testing.T) {
		dst := newGate()
		defer close(dst.open)
		tail, w := tailTo(t, dst)
		w.WriteString("stuck\n")
		<-dst.entered
		begin := time.Now()
		tail.Drain(20 * time.Millisecond)
		if took := time.Since(begin); took < 20*time.Millisecond || took > testTimeout {
			t.Errorf("took %v", took)
		}
		if lines := tail.Lines(1); !slices.Equal(lines, []string{"stuck"}) {
			t.Errorf("lines %q", lines)
		}
		tail.Close() // must not wait either
	})
}

func TestTailClose(t *testing.T) {
	tail, w := tailTo(t, io.Discard)
	tail.Close()
	tail.Close()
	tail.Drain(testTimeout)
	if _, err := w.WriteString("x"); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("writing to a closed tail: %v, want EPIPE", err)
	}
}

// failing is a destination that can take nothing.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no") }

func TestTailDrainsWhenDestinationFails(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for name, dst := range map[string]io.Writer{"error": failing{}, "full disk": NewOutput(full)} {
		t.Run(name, func(t *testing.T) {
			tail, w := tailTo(t, dst)
			chunk := bytes.Repeat([]byte("x"), 1000)
			for range 1000 {
				if _, err := w.Write(chunk); err != nil {
					t.Fatal(err)
				}
			}
			w.WriteString("\nend\n")
			tail.Drain(testTimeout)
			if lines := tail.Lines(1); !slices.Equal(lines, []string{"end"}) {
				t.Errorf("lines %q", lines)
			}
		})
	}
}

// roleBrokenStderr passes a worker's stderr on to a stderr that nobody reads.
func roleBrokenStderr() {
	tail := must(NewTail(Stderr, NewOutput(os.Stderr)))
	pid := must(Start(Spec{Path: "/bin/sh", Argv: []string{"sh", "-c", "echo one >&2; echo two >&2"}, Files: []int{Null, Null, tail.WriteEnd()}}))
	tail.CloseWriteEnd()
	must(wait(pid))
	tail.Drain(testTimeout)
	reportJSON(tail.Lines(5))
}

func TestOutputToDeadPipe(t *testing.T) {
	h := newHandshake(t)
	r, w := newPipe(t)
	unix.Close(r)
	pid := startRole(t, "broken-stderr", []int{h.childIn, h.childOut, w})
	h.started()
	unix.Close(w)
	if status := await(t, pid); status != (Status{}) {
		t.Fatalf("a dead stderr ended the master: %v", status)
	}
	var lines []string
	h.json(t, &lines)
	if !slices.Equal(lines, []string{"one", "two"}) {
		t.Errorf("lines %q", lines)
	}
}

// A process that shares the terminal or pipe, Node for one, may make it
// non-blocking for everybody.
func TestOutputToNonblockingPipe(t *testing.T) {
	r, w := newPipe(t)
	f := os.NewFile(uintptr(w), "stderr") // blocking as os sees it
	if err := unix.SetNonblock(w, true); err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	failed := make(chan error, 1)
	go func() {
		_, err := NewOutput(f).Write(want)
		f.Close()
		failed <- err
	}()
	in := os.NewFile(uintptr(r), "reader")
	defer in.Close()
	got, err := io.ReadAll(in)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes arrived, %v", len(got), len(want), err)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

func TestTailMemory(t *testing.T) {
	const count = 256
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // the second empties the pool
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := heap()
	tails := make([]*Tail, count)
	for i := range tails {
		var w *os.File
		tails[i], w = tailTo(t, io.Discard)
		fmt.Fprintln(w, "hello")
	}
	for _, tail := range tails {
		tail.Drain(testTimeout)
	}
	if after := heap(); after > before+4<<20 {
		t.Errorf("%d tails of one line cost %d KiB", count, (after-before)>>10)
	}
	runtime.KeepAlive(tails)
}
