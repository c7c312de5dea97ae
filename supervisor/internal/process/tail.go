//go:build linux

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Tail is the way of one worker's stderr through the master: every byte is
// passed on as it comes, and the last 64 KiB are kept, so that a death can be
// explained by the worker's last words.
//
// It holds the reading end of a pipe, whose writing end is the worker's
// stderr. The worker waits only while the destination makes the master wait;
// a destination that fails is written to no more than the bytes at hand, which
// are then lost, and the worker notices nothing.
type Tail struct {
	dst  io.Writer
	pipe *os.File // read end, non-blocking, on the runtime's poller
	conn syscall.RawConn

	endOnce  sync.Once
	writeEnd int

	mu       sync.Mutex    // guards what follows, and reading from the pipe
	kept     ring          // what was read last
	passing  bool          // read from the pipe, not yet passed on
	done     bool          // nothing will be read any more
	paused   chan struct{} // closed when the goroutine has ended for a pause; nil: none is asked for
	progress chan struct{} // closed when passing or done changes; nil if nobody waits
}

// pipeSize is the capacity of a pipe, pipe(7). A buffer of this size empties it
// in one read, so a write of up to PIPE_BUF bytes is read, and passed on, whole.
const pipeSize = 64 << 10

// buffers lends one buffer for each chunk under way: workers that are silent
// cost none.
var buffers = sync.Pool{New: func() any { return new([pipeSize]byte) }}

// NewTail makes the pipe and starts passing on to dst, usually a [NewOutput].
// Writing to dst is done from one goroutine per Tail, which ends with the pipe.
func NewTail(dst io.Writer) (*Tail, error) {
	r, w, err := pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make a pipe for stderr: %w", err)
	}
	// Only the read end: the worker must find its stderr blocking, and os.Pipe
	// would make both non-blocking.
	if err := unix.SetNonblock(r, true); err != nil {
		unix.Close(r)
		unix.Close(w)
		return nil, fmt.Errorf("cannot make a pipe for stderr: %w", err)
	}
	t := &Tail{dst: dst, writeEnd: w}
	if err := t.open(r); err != nil {
		unix.Close(w)
		return nil, fmt.Errorf("cannot make a pipe for stderr: %w", err)
	}
	go t.pass()
	return t, nil
}

// open takes the read end over.
func (t *Tail) open(r int) (err error) {
	t.pipe = os.NewFile(uintptr(r), "stderr of a worker")
	if t.conn, err = t.pipe.SyscallConn(); err != nil {
		t.pipe.Close()
	}
	return err
}

// WriteEnd is the descriptor for the worker's stderr. It is close-on-exec and
// valid until CloseWriteEnd.
func (t *Tail) WriteEnd() int { return t.writeEnd }

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
		t.passing = false
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
		t.kept.write(chunk[:n])
		t.passing = true
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

// report wakes whoever waits in Settle. The caller holds mu.
func (t *Tail) report() {
	if t.progress != nil {
		close(t.progress)
		t.progress = nil
	}
}

// Settle returns when everything that was written to the pipe before the call
// has been read and passed on, or after atMost, and reports which it was. What
// is written to the destination next then comes behind the worker's last words.
// It does not wait for the end of the pipe, which a process the worker left
// behind may hold open for days.
func (t *Tail) Settle(atMost time.Duration) bool {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	for {
		t.mu.Lock()
		if t.done || !t.passing && t.empty() {
			t.mu.Unlock()
			return true
		}
		if t.progress == nil {
			t.progress = make(chan struct{})
		}
		progress := t.progress
		t.mu.Unlock()
		select {
		case <-progress:
		case <-timer.C:
			return false
		}
	}
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

// Lines returns the last n lines, oldest first, without blank ones and made
// safe for a log: see cleanLine. A line whose beginning is no longer kept is
// left out unless it is the only one. On Linux what still waits in the pipe,
// because the destination takes nothing, counts too.
func (t *Tail) Lines(n int) []string {
	t.mu.Lock()
	text, whole := t.kept.bytes(), !t.kept.dropped
	if !t.done {
		// It fails only once the pipe is closed.
		_ = t.conn.Control(func(fd uintptr) { text = append(text, unread(int(fd))...) })
	}
	t.mu.Unlock()
	return lastLines(text, whole, n)
}

// Close stops passing on. A process that still writes to the pipe gets EPIPE,
// so leave a Tail open while something the worker left behind may still want
// its stderr: at the end of the pipe the Tail closes itself. Close does not
// wait for a destination that blocks. It may be called more than once.
func (t *Tail) Close() {
	t.CloseWriteEnd()
	t.pipe.Close()
}
