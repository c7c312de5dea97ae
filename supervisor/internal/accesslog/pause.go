//go:build linux

package accesslog

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// Pause stops copying. When the channel it returns is closed nothing is read or
// written before Resume: what was read and not written is kept.
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

// Keep readies the log, which is paused, for being written down: see package state.
func (l *Log) Keep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watcher != nil { // else it was read, and is not in use
		l.waiting, l.total = l.current == nil, l.lost.Load()
	}
}

// Continue goes on with a log that was read. See [New] for report.
func (l *Log) Continue(report func(error)) error { return l.continueTo(unix.Stdout, report) }

func (l *Log) continueTo(stdout int, report func(error)) error {
	if err := l.begin(stdout, report); err != nil {
		return err
	}
	l.lost.Store(l.total)
	for _, p := range l.pipes {
		if err := l.add(p); err != nil {
			return fmt.Errorf("cannot go on with the access log: %w", err)
		}
		if p.retired {
			l.retired = append(l.retired, p)
		}
	}
	d := l.current
	if l.waiting {
		l.current = nil
		return nil
	}
	if d.fd, d.name = d.own, l.path; d.own < 0 {
		stream := streamDestination(l.path, stdout)
		d.fd, d.name = stream.fd, stream.name
	}
	if err := d.look(); err != nil {
		return fmt.Errorf("cannot go on with the access log: %w", err)
	}
	go l.run()
	return nil
}

// Shared is a log as versions left it in which all workers wrote to one pipe.
type Shared struct {
	*Log     `state:",inline"`
	readEnd  int    `state:"read_end,fd"`
	writeEnd int    `state:"write_end,fd"`
	rest     []byte `state:"rest"`
}

// Own is the log as it is now: its pipe ends with the last worker that has it, since the
// master closes its own end of it, for which it has no use.
func (s *Shared) Own() *Log {
	unix.Close(s.writeEnd)
	s.pipes = map[int]*pipe{s.readEnd: {fd: s.readEnd, worker: sharedWorker, rest: s.rest}}
	return s.Log
}
