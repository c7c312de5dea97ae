//go:build linux

package process

import (
	"cmp"
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
	Stream  Stream `state:"stream"`
	// Lost is how many bytes at most are lost: they were read from the pipe, and
	// the destination has not taken them yet.
	Lost int `state:"-"`
}

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

// Snapshot returns the Tail, for which a pause was asked, complete or not, and
// whose write end is closed here. What it remembers together with one beside it is
// in that of the first of the two.
func (t *Tail) Snapshot() TailSnapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := TailSnapshot{Pipe: -1, Stream: t.stream, Lost: t.passing}
	if t.kept.members()[0] == t {
		text, whole, _ := t.kept.bytes()
		s.Kept, s.Dropped = text, !whole
	}
	if !t.done {
		// It fails only once the pipe is closed.
		_ = t.conn.Control(func(fd uintptr) { s.Pipe = int(fd) })
	}
	return s
}

// RestoreTail returns the Tail that a snapshot was taken of, which passes on to
// dst.
func RestoreTail(s TailSnapshot, dst io.Writer) (*Tail, error) {
	kept := &memory{ring: ring{dropped: s.Dropped}}
	kept.ring.write(s.Kept)
	return restoreTail(s, dst, kept)
}

// RestoreBeside is RestoreTail for the other stream of the same worker.
func (t *Tail) RestoreBeside(s TailSnapshot, dst io.Writer) (*Tail, error) {
	return restoreTail(s, dst, t.kept)
}

func restoreTail(s TailSnapshot, dst io.Writer, kept *memory) (*Tail, error) {
	t := &Tail{dst: dst, stream: cmp.Or(s.Stream, Stderr), kept: kept, writeEnd: -1}
	t.endOnce.Do(func() {})
	if s.Pipe < 0 {
		t.done = true
		kept.join(t)
		return t, nil
	}
	if err := t.open(s.Pipe); err != nil {
		return nil, fmt.Errorf("cannot restore the pipe of a worker's output: %w", err)
	}
	kept.join(t)
	go t.pass()
	return t, nil
}
