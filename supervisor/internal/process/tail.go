//go:build linux

package process

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Stream is one of the outputs of a process, or both as one pipe.
type Stream string

// The streams. A zero one stands for Stderr.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
	Both   Stream = "both"
)

// Tail is the way of one worker's output through the master: every byte is
// passed on as it comes, and the last 64 KiB are kept, so that a death can be
// explained by the worker's last words. One whose stdout and stderr have a pipe
// each has a Tail for each, which remember together: see [Tail.Beside].
//
// It holds the reading end of a pipe, whose writing end is the worker's
// stream. The worker waits only while the destination makes the master wait;
// a destination that fails is written to no more than the bytes at hand, which
// are then lost, and the worker notices nothing.
//
// Another image of this process goes on with one that was paused: see [Tail.Keep].
type Tail struct {
	dst    io.Writer       `state:"-"`
	stream Stream          `state:"stream"`
	pipe   *os.File        `state:"-"` // read end, non-blocking, on the runtime's poller
	conn   syscall.RawConn `state:"-"`
	kept   *memory         `state:"-"`

	endOnce  sync.Once `state:"-"`
	writeEnd int       `state:"-"`

	mu       sync.Mutex    `state:"-"` // guards what follows, and reading from the pipe
	passing  int           `state:"-"` // bytes that were read from the pipe, and are not yet passed on
	done     bool          `state:"-"` // nothing will be read any more
	paused   chan struct{} `state:"-"` // closed when the goroutine has ended for a pause; nil: none is asked for
	progress chan struct{} `state:"-"` // closed when passing or done changes; nil if nobody waits

	// While the state is written and read.
	fd      int    `state:"pipe,fd"` // of pipe; -1: it has ended
	text    []byte `state:"kept"`    // what the first of those that remember together remember
	dropped bool   `state:"dropped"` // something was before text
}

// pipeSize is the capacity of a pipe, pipe(7). A buffer of this size empties it
// in one read, so a write of up to PIPE_BUF bytes is read, and passed on, whole.
const pipeSize = 64 << 10

// buffers lends one buffer for each chunk under way: workers that are silent
// cost none.
var buffers = sync.Pool{New: func() any { return new([pipeSize]byte) }}

// Flusher is a destination that keeps back what is no whole line. At the end of
// the pipe, and for a pause, it is told to write that too.
type Flusher interface{ Flush() }

// NewTail makes the pipe and starts passing on to dst, usually a [NewOutput].
// Writing to dst is done from one goroutine per Tail, which ends with the pipe.
func NewTail(stream Stream, dst io.Writer) (*Tail, error) {
	return newTail(stream, dst, new(memory))
}

// Beside is NewTail for the other stream of the same worker: what is kept of
// both is kept in the order in which it came.
func (t *Tail) Beside(stream Stream, dst io.Writer) (*Tail, error) {
	return newTail(stream, dst, t.kept)
}

func newTail(stream Stream, dst io.Writer, kept *memory) (*Tail, error) {
	r, w, err := pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make a pipe for the output of a worker: %w", err)
	}
	// Only the read end: the worker must find its stream blocking, and os.Pipe
	// would make both non-blocking.
	err = unix.SetNonblock(r, true)
	if err != nil {
		unix.Close(r)
	}
	t := &Tail{dst: dst, stream: stream, kept: kept, writeEnd: w}
	if err == nil {
		err = t.open(r)
	}
	if err != nil {
		unix.Close(w)
		return nil, fmt.Errorf("cannot make a pipe for the output of a worker: %w", err)
	}
	kept.join(t)
	go t.pass()
	return t, nil
}

// open takes the read end over.
func (t *Tail) open(r int) (err error) {
	t.pipe = os.NewFile(uintptr(r), "output of a worker")
	if t.conn, err = t.pipe.SyscallConn(); err != nil {
		t.pipe.Close()
	}
	return err
}

// Stream is which stream it is.
func (t *Tail) Stream() Stream { return cmp.Or(t.stream, Stderr) }

// WriteEnd is the descriptor for the worker's stream. It is close-on-exec and
// valid until CloseWriteEnd.
func (t *Tail) WriteEnd() int { return t.writeEnd }

// Own gives the pipe to the user whom the worker will be, so that it can open its
// streams by their names, /dev/stdout and /dev/stderr; nil: that is our own.
func (t *Tail) Own(c *Credential) error {
	if c == nil {
		return nil
	}
	if err := unix.Fchown(t.writeEnd, int(c.Uid), int(c.Gid)); err != nil {
		return fmt.Errorf("cannot give a worker the pipe that it writes to: %w", err)
	}
	return nil
}

// CloseWriteEnd closes the master's copy of the writing end. Until then the
// pipe has no end. Call it right after [Start], also when that failed.
func (t *Tail) CloseWriteEnd() {
	t.endOnce.Do(func() { unix.Close(t.writeEnd) })
}

// pass is the goroutine.
func (t *Tail) pass() {
	for {
		chunk, n, err := t.read()
		if n <= 0 {
			if f, ok := t.dst.(Flusher); ok {
				f.Flush()
			}
			if t.finish(err) {
				return
			}
			continue
		}
		// Nothing can be done for what the destination does not take, and the
		// next chunk may fare better: a full disk gets room again.
		_, _ = t.dst.Write(chunk[:n])
		buffers.Put(chunk)
		t.mu.Lock()
		t.passing = 0
		t.report()
		t.mu.Unlock()
	}
}

// read waits until there is something in the pipe, takes it all and keeps a
// copy. At the end of the pipe, when it was closed here, and for a pause, n is
// not positive.
func (t *Tail) read() (chunk *[pipeSize]byte, n int, err error) {
	err = t.conn.Read(func(fd uintptr) bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		chunk = buffers.Get().(*[pipeSize]byte)
		var err error
		for {
			if n, err = unix.Read(int(fd), chunk[:]); err != unix.EINTR {
				break
			}
		}
		if n <= 0 {
			buffers.Put(chunk)
			chunk = nil // it may be another's while this one waits
			return err != unix.EAGAIN
		}
		t.kept.write(t, chunk[:n])
		t.passing = n
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	return chunk, n, nil
}

// finish says whether the goroutine is to end after read had nothing for it:
// at the end of the pipe for good, or for a pause that is still asked for.
func (t *Tail) finish(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if t.paused == nil {
			return false
		}
		close(t.paused)
		return true
	}
	t.pipe.Close()
	t.done = true
	if t.paused != nil {
		close(t.paused)
	}
	t.report()
	return true
}

// report wakes whoever waits in Drain. The caller holds mu.
func (t *Tail) report() {
	if t.progress != nil {
		close(t.progress)
		t.progress = nil
	}
}

// Drain returns when everything that the worker wrote before the call, to this
// stream or the one beside it, has been read and passed on, or after atMost, and
// reports which it was. What is written to the destination next then comes behind
// the worker's last words. It does not wait for the end of the pipe, which a
// process the worker left behind may hold open for days.
func (t *Tail) Drain(atMost time.Duration) bool {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	for _, one := range t.kept.members() {
		for progress := one.undrained(); progress != nil; progress = one.undrained() {
			select {
			case <-progress:
			case <-timer.C:
				return false
			}
		}
	}
	return true
}

// undrained is nil if nothing is under way, else closed when there is progress.
func (t *Tail) undrained() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done || t.passing == 0 && t.empty() {
		return nil
	}
	if t.progress == nil {
		t.progress = make(chan struct{})
	}
	return t.progress
}

// empty reports that nothing is in the pipe. The caller holds mu, without
// which bytes could be neither in the pipe nor in kept.
func (t *Tail) empty() bool {
	n := 0
	// Where the pipe is closed already there is nothing to wait for.
	_ = t.conn.Control(func(fd uintptr) {
		n, _ = unix.IoctlGetInt(int(fd), fionread)
	})
	return n == 0
}

// Lines returns the last n lines of the worker, on this stream and the one beside
// it, oldest first, without blank ones and made safe for a log: see cleanLine. A
// line whose beginning is no longer kept is left out unless it is the only one. What
// still waits in a pipe, because the destination takes nothing, counts too.
func (t *Tail) Lines(n int) []string {
	text, whole, _ := t.all()
	return lastLines(text, whole, n)
}

// all is what is kept, and behind it what still waits in the pipes. whole says that
// nothing was before it, and end is where it ends, as [Tail.Mark] counts.
func (t *Tail) all() (text []byte, whole bool, end uint64) {
	members := t.kept.members()
	for _, one := range members {
		one.mu.Lock()
		defer one.mu.Unlock()
	}
	text, whole, last, end := t.kept.bytes()
	kept := len(text)
	for _, one := range members {
		if one.done {
			continue
		}
		// It fails only once the pipe is closed.
		_ = one.conn.Control(func(fd uintptr) {
			if more := unread(int(fd)); len(more) > 0 {
				text, last = append(endLine(text, last, one), more...), one
			}
		})
	}
	return text, whole, end + uint64(len(text)-kept)
}

// Mark is where in what is kept the worker's next output begins: see [Tail.LinesSince]. It
// ends an unfinished line, and is never 0.
func (t *Tail) Mark() uint64 {
	m := t.kept
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ring.written == 0 || m.ring.midLine() {
		m.ring.write([]byte("\n"))
	}
	return m.ring.written
}

// LinesSince returns the last n lines since a mark, as Lines does.
func (t *Tail) LinesSince(mark uint64, n int) []string {
	text, _, end := t.all()
	since := end - mark
	if since >= uint64(len(text)) {
		return lastLines(text, since == uint64(len(text)), n)
	}
	return lastLines(text[uint64(len(text))-since:], true, n)
}

// Close stops passing on. A process that still writes to the pipe gets EPIPE,
// so leave a Tail open while something the worker left behind may still want
// to write: at the end of the pipe the Tail closes itself. Close does not
// wait for a destination that blocks. It may be called more than once.
func (t *Tail) Close() {
	t.CloseWriteEnd()
	t.pipe.Close()
}
