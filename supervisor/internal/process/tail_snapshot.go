//go:build linux

package process

import (
	"fmt"
	"io"
	"time"
)

// TailSnapshot is a Tail for another image of this process to go on with: the
// pipe stays open over the exec.
type TailSnapshot struct {
	Pipe    int    `state:"pipe,fd"` // -1: it has ended
	Kept    []byte `state:"kept"`
	Dropped bool   `state:"dropped"`
}

// Pause stops reading. When the channel it returns is closed, all that was read
// has been passed on and what is written waits in the pipe, until Resume. A
// destination that blocks keeps it open.
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

// Snapshot returns the Tail, which is paused and whose write end is closed
// here.
func (t *Tail) Snapshot() TailSnapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := TailSnapshot{Pipe: -1, Kept: t.kept.bytes(), Dropped: t.kept.dropped}
	if !t.done {
		// It fails only once the pipe is closed.
		_ = t.conn.Control(func(fd uintptr) { s.Pipe = int(fd) })
	}
	return s
}

// RestoreTail returns the Tail that a snapshot was taken of, which passes on to
// dst.
func RestoreTail(s TailSnapshot, dst io.Writer) (*Tail, error) {
	t := &Tail{dst: dst, writeEnd: -1, kept: ring{dropped: s.Dropped}}
	t.endOnce.Do(func() {})
	t.kept.write(s.Kept)
	if s.Pipe < 0 {
		t.done = true
		return t, nil
	}
	if err := t.open(s.Pipe); err != nil {
		return nil, fmt.Errorf("cannot restore the pipe of stderr: %w", err)
	}
	go t.pass()
	return t, nil
}
