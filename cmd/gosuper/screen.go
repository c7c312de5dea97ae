//go:build linux

package main

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/supervisor"
)

// screen is stdout, stderr or both as the master's log, the access log and all
// workers write to it at the same time. It knows whether a line is unfinished and
// whose it is, so that nobody's line goes on in that of another. Nothing waits in
// it: what has no end yet, a question or a progress bar, is seen at once.
type screen struct {
	w        io.Writer // one Write is one piece
	terminal bool      // a person, who likes colours or not
	colour   bool      // whether numbers have one
	manner   atomic.Pointer[manner]

	// turn is taken by whoever writes, for as long as a reader does not read, and
	// guards what follows.
	turn   chan struct{}
	at     cursor
	styled bool    // a worker's colour is in force
	last   *source // who wrote last; nil: the master
}

// manner is how what workers write is passed on; the zero value: as it is.
type manner struct {
	marks bool // lines begin with the number of their worker
	safe  bool // what drives a terminal is escaped
	// wrap makes one line of a log, with its newline, of a worker's line or a piece
	// of it; nil: no lines are made.
	wrap func(worker int, stream supervisor.Stream, line []byte, whole bool) string
}

// cursor is where the next byte goes, as far as it matters.
type cursor int

const (
	atStart    cursor = iota // of a line with nothing in it
	atReturned               // of a line that is about to be overwritten
	inLine
)

func newScreen(w io.Writer) *screen {
	s := &screen{w: w, turn: make(chan struct{}, 1)}
	s.manner.Store(new(manner))
	return s
}

func (s *screen) lock()   { s.turn <- struct{}{} }
func (s *screen) unlock() { <-s.turn }

// Write writes a line of the master's log; one of no bytes ends what is unfinished.
func (s *screen) Write(line []byte) (int, error) {
	s.lock()
	defer s.unlock()
	out := append(s.begin(nil), line...)
	s.last = nil
	return s.pass(out, line)
}

// take is the turn of somebody who writes lines beside the screen: see
// [supervisor.Streams].
func (s *screen) take(atMost time.Duration) (before []byte, done func(wrote, whole bool), ok bool) {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case s.turn <- struct{}{}:
	case <-timer.C:
		return nil, nil, false
	}
	at, styled := s.at, s.styled
	before = s.begin(nil)
	return before, func(wrote, whole bool) {
		switch {
		case !wrote:
			s.at, s.styled = at, styled
		case !whole:
			s.last, s.at = nil, inLine
		default:
			s.last = nil
		}
		s.unlock()
	}, true
}

// begin adds to out what makes the next byte the first of a line that nobody has
// coloured.
func (s *screen) begin(out []byte) []byte {
	out = s.unstyle(out)
	if s.at != atStart {
		out = append(out, '\n')
	}
	s.at = atStart
	return out
}

// unstyle adds the end of a worker's colour.
func (s *screen) unstyle(out []byte) []byte {
	if s.styled {
		out = append(out, "\x1b[0m"...)
	}
	s.styled = false
	return out
}

// pass writes out, which stands for b.
func (s *screen) pass(out, b []byte) (int, error) {
	if len(out) == 0 {
		return len(b), nil
	}
	if _, err := s.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// worker returns what a stream of a worker is written to; 0 stands for what a worker
// left behind.
func (s *screen) worker(id int, stream supervisor.Stream) io.Writer {
	return &source{screen: s, id: id, stream: stream}
}

// source is a worker that writes to a screen.
type source struct {
	screen *screen
	id     int
	stream supervisor.Stream
	// held is what cannot be written before it is known what follows: a part of a
	// letter or of a sequence for terminals, and of a line that is wrapped.
	held []byte
}

// Write passes on what the worker wrote, in the manner of the screen.
func (w *source) Write(b []byte) (int, error) {
	s := w.screen
	s.lock()
	defer s.unlock()
	if len(b) == 0 {
		return 0, nil
	}
	return s.pass(w.render(b, false), b)
}

// Flush writes what is held: nothing follows.
func (w *source) Flush() {
	s := w.screen
	s.lock()
	defer s.unlock()
	if len(w.held) > 0 {
		_, _ = s.pass(w.render(nil, true), nil) // as in Write, whose error nobody can mend
	}
}

// render is what appears of what is held and b; with end, of all of that.
func (w *source) render(b []byte, end bool) []byte {
	if len(w.held) > 0 {
		b = append(w.held, b...)
		w.held = nil
	}
	s := w.screen
	m := s.manner.Load()
	switch {
	case m.wrap != nil:
		return w.wrap(m, b, end)
	case m.marks || m.safe:
		return w.tame(m, b, end)
	}
	s.at = inLine
	if b[len(b)-1] == '\n' {
		s.at = atStart
	}
	s.last = w
	return b
}

// wrappedLine is how long a line may be for it to be wrapped as one, as other
// relays have it.
const wrappedLine = 16 << 10

// wrap makes lines of the log.
func (w *source) wrap(m *manner, b []byte, end bool) (out []byte) {
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		switch {
		case len(line) > wrappedLine:
			line, rest, whole = b[:wrappedLine], b[wrappedLine:], false
		case !whole && !end:
			w.held = bytes.Clone(line)
			return out
		}
		if w.screen.last = w; out == nil {
			out = w.screen.begin(out)
		}
		out = append(out, m.wrap(w.id, w.stream, line, whole || end && len(rest) == 0)...)
		b = rest
	}
	return out
}
