//go:build linux

package accesslog

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// Snapshot is a log for another image of this process to go on with: the
// descriptors stay open over the exec.
type Snapshot struct {
	Path        string         `state:"path"`
	Pipes       []PipeSnapshot `state:"pipes"`
	Destination int            `state:"destination,fd"` // -1: a stream, or none
	Waiting     bool           `state:"waiting"`        // there is none yet
	Partial     int            `state:"partial"`
	Torn        bool           `state:"torn"`
	Lines       []byte         `state:"lines"` // whole ones, read and not written
	Lost        uint64         `state:"lost"`
}

// PipeSnapshot is the pipe of a worker.
type PipeSnapshot struct {
	Worker   int    `state:"worker"` // 0: one that several write to
	Format   string `state:"format"` // "": whatever they write
	ReadEnd  int    `state:"read_end,fd"`
	Retired  bool   `state:"retired"`
	Overlong bool   `state:"overlong"`
	Rest     []byte `state:"rest"` // the beginning of a line
}

// Shared is the log as versions left it in which all workers wrote to one pipe.
type Shared struct {
	Path        string `state:"path"`
	ReadEnd     int    `state:"read_end,fd"`
	WriteEnd    int    `state:"write_end,fd"`
	Destination int    `state:"destination,fd"`
	Waiting     bool   `state:"waiting"`
	Partial     int    `state:"partial"`
	Torn        bool   `state:"torn"`
	Lines       []byte `state:"lines"`
	Rest        []byte `state:"rest"`
	Lost        uint64 `state:"lost"`
}

// Snapshot is the same with one pipe, whose end is that of the last worker that has
// it: the master has no use for its own end of it, and closes that.
func (s *Shared) Snapshot() Snapshot {
	unix.Close(s.WriteEnd)
	return Snapshot{
		Path: s.Path, Pipes: []PipeSnapshot{{Worker: sharedWorker, ReadEnd: s.ReadEnd, Rest: s.Rest}},
		Destination: s.Destination, Waiting: s.Waiting, Partial: s.Partial, Torn: s.Torn, Lines: s.Lines, Lost: s.Lost,
	}
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
	l.wake()
	return paused
}

// Resume ends a pause, complete or not.
func (l *Log) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused == nil {
		return
	}
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
func (l *Log) asked(lines []byte) demand {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.until.IsZero():
		return end
	case l.paused == nil:
		return goOn
	}
	l.held = bytes.Clone(lines)
	close(l.paused)
	return pause
}

// Snapshot returns the log, which is paused.
func (l *Log) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Snapshot{Path: l.path, Destination: -1, Lines: l.held, Lost: l.lost.Load()}
	for _, fd := range slices.Sorted(maps.Keys(l.pipes)) {
		p := l.pipes[fd]
		s.Pipes = append(s.Pipes, PipeSnapshot{
			Worker: p.worker, Format: p.format, ReadEnd: fd, Retired: p.retired, Overlong: p.overlong, Rest: p.rest,
		})
	}
	if d := l.current; d == nil {
		s.Waiting = true
	} else {
		s.Partial, s.Torn = d.partial, d.torn
		if !d.shared {
			s.Destination = d.fd
		}
	}
	return s
}

// Restore returns the log that a snapshot was taken of, at work. See [New] for
// report.
func Restore(s Snapshot, report func(error)) (*Log, error) { return restore(s, unix.Stdout, report) }

func restore(s Snapshot, stdout int, report func(error)) (*Log, error) {
	l, err := create(stdout, report)
	if err != nil {
		return nil, err
	}
	l.path, l.held = s.Path, s.Lines
	l.lost.Store(s.Lost)
	for _, one := range s.Pipes {
		p := &pipe{
			fd: one.ReadEnd, worker: one.Worker, format: one.Format,
			retired: one.Retired, overlong: one.Overlong, rest: one.Rest,
		}
		if err := l.add(p); err != nil {
			return nil, fmt.Errorf("cannot restore the access log: %w", err)
		}
		if p.retired {
			l.retired = append(l.retired, p)
		}
	}
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
