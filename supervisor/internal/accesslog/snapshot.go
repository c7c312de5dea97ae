//go:build linux

package accesslog

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// held is what was read and is not written.
type held struct {
	lines []byte // whole ones
	rest  []byte // the beginning of one, shorter than MaxLine
}

// Snapshot is a log for another image of this process to go on with: the
// descriptors stay open over the exec.
type Snapshot struct {
	Path        string `state:"path"`
	ReadEnd     int    `state:"read_end,fd"`
	WriteEnd    int    `state:"write_end,fd"`
	Destination int    `state:"destination,fd"` // -1: a stream, or none
	Waiting     bool   `state:"waiting"`        // there is none yet
	Partial     int    `state:"partial"`
	Torn        bool   `state:"torn"`
	Lines       []byte `state:"lines"`
	Rest        []byte `state:"rest"`
	Lost        uint64 `state:"lost"`
}

// Pause stops copying. When the channel it returns is closed nothing is read or
// written before Resume: what was read and not written is in the Snapshot.
// Only a system call on the file that does not return can keep it open.
func (l *Log) Pause() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	paused := make(chan struct{})
	l.paused = paused
	if l.current == nil {
		close(paused)
		return paused
	}
	// It can only fail where the poller does not know the pipe, and it does.
	_ = l.pipe.SetReadDeadline(time.Unix(1, 0))
	return paused
}

// Resume ends a pause, complete or not.
func (l *Log) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused == nil {
		return
	}
	_ = l.pipe.SetReadDeadline(time.Time{})
	select {
	case <-l.paused:
		if l.current != nil {
			go l.run()
		}
	default:
	}
	l.paused = nil
}

// pausing says whether a pause was asked for.
func (l *Log) pausing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paused != nil
}

// demand is what the goroutine is asked for.
type demand int

const (
	goOn demand = iota
	pause
	end
)

// asked returns what the goroutine is to do. For a pause it keeps what was read
// and is not written.
func (l *Log) asked(lines, rest []byte) demand {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.until.IsZero():
		return end
	case l.paused == nil:
		return goOn
	}
	l.held = held{bytes.Clone(lines), bytes.Clone(rest)}
	close(l.paused)
	return pause
}

// Snapshot returns the log, which is paused.
func (l *Log) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Snapshot{
		Path: l.path, ReadEnd: -1, WriteEnd: l.writeEnd, Destination: -1,
		Lines: l.held.lines, Rest: l.held.rest, Lost: l.lost.Load(),
	}
	if d := l.current; d == nil {
		s.Waiting = true
	} else {
		s.Partial, s.Torn = d.partial, d.torn
		if !d.shared {
			s.Destination = d.fd
		}
	}
	if conn, err := l.pipe.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { s.ReadEnd = int(fd) })
	}
	return s
}

// Restore returns the log that a snapshot was taken of, at work. See [Open] for
// report.
func Restore(s Snapshot, report func(error)) (*Log, error) { return restore(s, unix.Stdout, report) }

func restore(s Snapshot, stdout int, report func(error)) (*Log, error) {
	l := &Log{
		stdout: stdout, report: report, path: s.Path, done: make(chan struct{}),
		pipe: os.NewFile(uintptr(s.ReadEnd), "access log"), writeEnd: s.WriteEnd, held: held{s.Lines, s.Rest},
	}
	l.lost.Store(s.Lost)
	if s.Waiting {
		return l, nil
	}
	d := &destination{fd: s.Destination, name: s.Path}
	if s.Destination < 0 {
		d = streamDestination(s.Path, stdout)
	}
	if err := d.look(); err != nil {
		return nil, fmt.Errorf("cannot restore the access log: %w", err)
	}
	d.partial, d.torn = s.Partial, s.Torn
	l.current = d
	go l.run()
	return l, nil
}
