//go:build linux

package process

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// Pause stops reading. When the channel it returns is closed, all that was read
// has been passed on and what is written waits in the pipe, until Resume. A
// destination that blocks keeps it open: then what was read last is still under
// way, but nothing more is read either.
func (t *Tail) Pause() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	paused := make(chan struct{})
	if t.done {
		close(paused)
		return paused
	}
	t.paused = paused
	// It can only fail where the poller does not know the pipe, and it does.
	_ = t.pipe.SetReadDeadline(time.Unix(1, 0))
	return paused
}

// Resume ends a pause, complete or not.
func (t *Tail) Resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = nil // which only the next image has use for
	if t.paused == nil {
		return
	}
	_ = t.pipe.SetReadDeadline(time.Time{})
	select {
	case <-t.paused:
		if !t.done {
			go t.pass()
		}
	default:
	}
	t.paused = nil
}

// Ended says whether nothing will be read any more.
func (t *Tail) Ended() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done
}

// Passing is how many bytes were read from the pipe which the destination has not taken
// yet: as many as are lost at most if this image ends now.
func (t *Tail) Passing() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.passing
}

// Keep readies a Tail for being written down (see package state), for which a pause was
// asked, complete or not, and whose write end is closed here.
func (t *Tail) Keep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept == nil {
		return // it was read, and is not in use
	}
	if t.fd, t.text, t.dropped = -1, nil, false; !t.done {
		// It fails only once the pipe is closed.
		_ = t.conn.Control(func(fd uintptr) { t.fd = int(fd) })
	}
	if t.kept.members()[0] == t {
		text, whole, _, _ := t.kept.bytes()
		t.text, t.dropped = text, !whole
	}
}

// Reopen goes on with a Tail that was read, and passes on to dst.
func (t *Tail) Reopen(dst io.Writer) error {
	kept := &memory{ring: ring{dropped: t.dropped}}
	kept.ring.write(t.text)
	return t.reopen(dst, kept)
}

// ReopenBeside is Reopen for the other stream of the worker of first.
func (t *Tail) ReopenBeside(first *Tail, dst io.Writer) error { return t.reopen(dst, first.kept) }

func (t *Tail) reopen(dst io.Writer, kept *memory) error {
	t.dst, t.kept, t.writeEnd, t.text = dst, kept, -1, nil
	t.endOnce.Do(func() {})
	if t.done = t.fd < 0; !t.done {
		if err := t.open(t.fd); err != nil {
			return fmt.Errorf("cannot go on with the pipe of a worker's output: %w", err)
		}
	}
	if kept.join(t); !t.done {
		go t.pass()
	}
	return nil
}

const fionread = unix.TIOCINQ

func pipe() (r, w int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p[0], p[1], err
}

// unread returns what is in the pipe, and leaves it there: tee(2). It is nil where
// there are no descriptors left.
func unread(fd int) []byte {
	r, w, err := pipe()
	if err != nil {
		return nil
	}
	defer unix.Close(r)
	defer unix.Close(w)
	n, err := unix.Tee(fd, w, pipeSize, unix.SPLICE_F_NONBLOCK)
	if err != nil || n <= 0 {
		return nil
	}
	text := make([]byte, n)
	if n, err := unix.Read(r, text); err == nil {
		return text[:n]
	}
	return nil
}
