//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// screen is stderr as the master's log and all workers write to it at the same
// time. It knows whether a line is unfinished and whose it is, so that nobody's
// line goes on in that of another. Nothing waits in it: what has no end yet, a
// question or a progress bar, is seen at once.
type screen struct {
	w      io.Writer   // one Write is one piece
	colour bool        // whether numbers have one
	marks  atomic.Bool // the lines of workers begin with their number

	mu   sync.Mutex // guards what follows, and the order of writes: for as long as a reader does not read
	at   cursor
	last *source // who wrote last; nil: the master
}

// cursor is where the next byte goes, as far as it matters.
type cursor int

const (
	atStart    cursor = iota // of a line with nothing in it
	atReturned               // of a line that is about to be overwritten
	inLine
)

// Write writes a line of the master's log; one of no bytes ends what is unfinished.
func (s *screen) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := line
	if s.at != atStart {
		out = append([]byte("\n"), line...)
	}
	s.last, s.at = nil, atStart
	return s.pass(out, line)
}

// pass writes out, which stands for b.
func (s *screen) pass(out, b []byte) (int, error) {
	if len(out) == 0 {
		return 0, nil
	}
	if _, err := s.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// worker returns what a worker writes to; 0 stands for what a worker left behind.
func (s *screen) worker(id int) io.Writer { return &source{screen: s, id: id} }

// source is a worker that writes to a screen.
type source struct {
	screen *screen
	id     int
}

// Write passes on what the worker wrote: byte for byte, unless lines are marked.
func (w *source) Write(b []byte) (int, error) {
	s := w.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	out := b
	if s.marks.Load() {
		out = w.marked(b)
	} else {
		s.at = inLine
		if b[len(b)-1] == '\n' {
			s.at = atStart
		}
	}
	s.last = w
	return s.pass(out, b)
}

// marked is what the worker wrote with its number before each line, also before
// one that overwrites another.
func (w *source) marked(b []byte) []byte {
	s := w.screen
	mark := w.mark()
	out := make([]byte, 0, len(b)+len(mark)*(1+bytes.Count(b, []byte("\n"))))
	if s.last != w && s.at != atStart {
		out = append(out, '\n')
		s.at = atStart
	}
	for len(b) > 0 {
		n := 1
		switch {
		case b[0] == '\n':
			if s.at == atStart {
				out = append(out, mark...)
			}
			s.at = atStart
		case b[0] == '\r':
			if s.at == inLine {
				s.at = atReturned
			}
		case s.at == inLine:
			n = rest(b)
		default:
			if n = clearing(b); n == 0 {
				out = append(out, mark...)
				s.at = inLine
			}
		}
		out = append(out, b[:n]...)
		b = b[n:]
	}
	return out
}

// mark is the worker's number. Colours that mean a level are nobody's.
func (w *source) mark() string {
	number := "-"
	if w.id > 0 {
		number = fmt.Sprint(w.id)
	}
	colours := []string{"36", "35", "32", "34", "96", "95", "92", "94"}
	e := consoleEncoder{colour: w.screen.colour}
	return e.paint(colours[w.id%len(colours)], "["+number+"]") + " "
}

// rest is how far a line goes on.
func rest(b []byte) int {
	if i := bytes.IndexAny(b, "\r\n"); i >= 0 {
		return i
	}
	return len(b)
}

// clearing is the length of a sequence at the start of b that clears the line or
// moves the cursor, which comes before the number: after it, it would take that
// away. A colour, of ECMA-48 the one sequence that ends in m, is text.
func clearing(b []byte) int {
	if len(b) < 3 || b[0] != '\x1b' || b[1] != '[' {
		return 0
	}
	for i, c := range b[2:] {
		switch {
		case c == 'm':
			return 0
		case c >= '@' && c <= '~':
			return 2 + i + 1
		}
	}
	return 0
}
