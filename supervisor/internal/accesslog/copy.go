//go:build linux

package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// chunkSize is how much is read from a pipe before it is the next one's turn.
	chunkSize = 64 << 10
	// gather is for how long lines are left in their pipes, to be read many at once:
	// a look for each would cost more than all the rest, most of all where a worker
	// writes byte by byte. At the full rate the smallest pipe is half full by then.
	gather = 2 * time.Millisecond
	// reportEvery keeps a lasting trouble from filling the log of the master.
	reportEvery = time.Minute
)

// copier is what belongs to the goroutine.
type copier struct {
	held    []byte  `state:"lines"` // whole ones with which it begins
	resting []*pipe `state:"-"`     // that are not watched, since too much came from them
	chunk   []byte  `state:"-"`
	turn    []*pipe `state:"-"` // those to read in this round
	lines   []byte  `state:"-"` // taken from them

	report   func(error)           `state:"-"`
	reported map[trouble]time.Time `state:"-"`
}

// trouble is a kind of reason for which lines are lost.
type trouble int

const (
	badDestination trouble = iota
	tooFast
	notItsOwn
)

// run is the goroutine.
func (l *Log) run() {
	if l.chunk == nil {
		l.chunk, l.reported = make([]byte, chunkSize+MaxLine), map[trouble]time.Time{}
	}
	for left := l.held; ; {
		switch l.asked(left) {
		case pause:
			return
		case end:
			l.end(left)
			return
		}
		if len(left) > 0 {
			left = l.write(left)
		} else {
			left = l.round()
		}
	}
}

// round waits for something to read, and passes on a piece from each pipe that has
// something. It returns the lines that a pause leaves for later.
func (l *Log) round() (left []byte) {
	l.lines = l.lines[:0]
	much := false
	for _, p := range l.ready() {
		if l.take(p); p.tooMuch() {
			l.rest(p)
		}
		if len(l.lines) >= chunkSize {
			much = true
			if left = l.write(l.lines); len(left) > 0 {
				return left
			}
			l.lines = l.lines[:0]
		}
	}
	if left = l.write(l.lines); len(left) == 0 && !much {
		time.Sleep(gather)
	}
	return left
}

// ready waits until there is something to do, and returns the pipes to read, those
// of workers that are gone among them.
func (l *Log) ready() []*pipe {
	l.mu.Lock()
	now, first := time.Now(), time.Time{}
	kept := l.resting[:0]
	for _, p := range l.resting {
		if until := p.wakes(); until.After(now) {
			if kept = append(kept, p); first.IsZero() || until.Before(first) {
				first = until
			}
		} else if l.pipes[p.fd] == p {
			_ = l.watcher.add(p.fd) // it was watched before, and can be again
		}
	}
	clear(l.resting[len(kept):])
	l.resting = kept
	if l.paused == nil && l.until.IsZero() { // else it is woken at once
		if len(l.retired) > 0 {
			first = now
		}
		l.ring(first)
	}
	l.mu.Unlock()
	found := l.watcher.wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn = l.turn[:0]
	for _, fd := range found {
		if p := l.pipes[fd]; p != nil && !p.retired {
			l.turn = append(l.turn, p)
		}
	}
	for _, p := range l.retired {
		p.ending = true
		l.turn = append(l.turn, p)
	}
	return l.turn
}

// take takes a piece from a pipe, which is closed at its end.
func (l *Log) take(p *pipe) {
	n, refused := 0, uint64(0)
	rest := copy(l.chunk, p.rest)
	n = p.read(l.chunk[rest : rest+chunkSize])
	if n > 0 {
		l.lines, refused = p.cut(l.lines, l.chunk[:rest+n])
	}
	// Nothing follows at its end, nor when its worker is gone.
	if n == 0 || p.ending && (n < 0 || p.drained >= maxPipe) {
		var more uint64
		l.lines, more = p.finish(l.lines)
		refused += more
		l.closePipe(p)
	}
	if refused > 0 {
		l.lost.Add(refused)
		l.complain(notItsOwn, func() error {
			return fmt.Errorf("%s wrote what is not a line of its own in the format of the access log: %q", p.name(), p.sample)
		})
	}
}

// closePipe closes a pipe that is at its end.
func (l *Log) closePipe(p *pipe) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(p)
	l.retired = slices.DeleteFunc(l.retired, func(one *pipe) bool { return one == p })
}

// rest leaves a pipe alone until what came from it is no longer too much.
func (l *Log) rest(p *pipe) {
	if p.ending || !l.open(p) {
		return // it has little left to say, or nothing
	}
	l.watcher.remove(p.fd)
	l.resting = append(l.resting, p)
	l.complain(tooFast, func() error {
		return fmt.Errorf("%s writes more than %d MiB a second to the access log, and drops what is beyond", p.name(), Rate>>20)
	})
}

// end passes on what is there when the log is closed.
func (l *Log) end(left []byte) {
	defer l.finish()
	l.write(left)
	l.mu.Lock()
	pipes := make([]*pipe, 0, len(l.pipes))
	for _, p := range l.pipes {
		p.ending = true // not more than it can hold: a worker may go on for ever
		pipes = append(pipes, p)
	}
	l.mu.Unlock()
	for len(pipes) > 0 {
		more := pipes[:0]
		for _, p := range pipes {
			l.lines = l.lines[:0]
			l.take(p)
			l.write(l.lines)
			if l.open(p) {
				more = append(more, p)
			}
		}
		pipes = more
	}
}

// open says whether a pipe is not closed yet.
func (l *Log) open(p *pipe) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pipes[p.fd] == p
}

// write passes whole lines on, and returns those that a pause leaves for later.
func (l *Log) write(lines []byte) (left []byte) {
	for len(lines) > 0 && !l.pausing() {
		d, wait := l.borrow()
		n, err := d.write(lines, wait)
		l.giveBack()
		lines = lines[n:]
		switch {
		case err == nil:
		case err != errBusy:
			l.lose(lines, err)
			return nil
		case l.overdue():
			l.lose(lines, errors.New("it takes nothing"))
			return nil
		}
	}
	return lines
}

// borrow returns where to write, which is the goroutine's own until giveBack,
// and for how long it may be waited for.
func (l *Log) borrow() (*destination, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = true
	if l.current.own < 0 && l.turns != nil {
		l.current.turn = l.turns(l.current.name)
	}
	if l.until.IsZero() {
		return l.current, busyWait
	}
	return l.current, max(min(time.Until(l.until), busyWait), 0)
}

func (l *Log) giveBack() {
	var over *destination
	l.mu.Lock()
	l.writing = false
	if l.next != nil {
		over = l.current
		l.current, l.next = l.next, nil
	}
	l.mu.Unlock()
	over.close()
}

// overdue reports whether Close has waited long enough.
func (l *Log) overdue() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.until.IsZero() && !time.Now().Before(l.until)
}

// lose counts lines that the destination did not take, and tells why.
func (l *Log) lose(lines []byte, why error) {
	l.lost.Add(countLines(lines))
	l.complain(badDestination, func() error { return fmt.Errorf("cannot write the access log: %w", why) })
}

// complain reports a trouble, unless one of its kind was reported just now.
func (l *Log) complain(kind trouble, why func() error) {
	now := time.Now()
	if last, ok := l.reported[kind]; l.report == nil || ok && now.Sub(last) < reportEvery {
		return
	}
	l.reported[kind] = now
	l.report(why())
}

func countLines(text []byte) uint64 { return uint64(bytes.Count(text, []byte("\n"))) }
