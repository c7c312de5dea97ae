//go:build linux

package process

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// fewLines is how many last lines of two texts have to be the same for them to be
// left out of one that is not the same as a whole.
const fewLines = 4

// Held keeps back what a worker writes to stderr for a moment, because another may
// have written the same: of many boots that fail alike one is enough to read. It
// stands before the destination of a [Tail]. The methods of a nil Held do nothing.
type Held struct {
	dst  io.Writer
	most time.Duration

	order sync.Mutex // held while something is written to dst, which may take any time

	mu    sync.Mutex  // guards what follows, for a moment
	text  []byte      // at most keep bytes
	timer *time.Timer // passes the text on
	free  bool        // nothing is kept back any more
	ended bool        // the destination is to be flushed behind the text
	seen  ring        // what went through, until Forget
	blind bool        // nothing is remembered any more
}

// Hold returns a writer that passes on to dst what is written, each byte so much
// later at most; with 0 nothing is kept back, but remembered all the same.
func Hold(dst io.Writer, atMost time.Duration) *Held {
	return &Held{dst: dst, most: atMost, free: atMost == 0}
}

// Write keeps the bytes, or passes them on after Release. It fails as dst does.
func (h *Held) Write(b []byte) (int, error) {
	if h.keeps(b) {
		return len(b), nil
	}
	h.order.Lock()
	defer h.order.Unlock()
	h.passOn()
	return h.dst.Write(b)
}

// keeps keeps the bytes back if they are to be.
func (h *Held) keeps(b []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.blind {
		h.seen.write(b)
	}
	if h.free || len(h.text)+len(b) > keep {
		return false
	}
	if len(h.text) == 0 && len(b) > 0 {
		h.timer = time.AfterFunc(h.most, h.pass)
	}
	h.text = append(h.text, b...)
	return true
}

// pass passes on what was kept.
func (h *Held) pass() {
	h.order.Lock()
	defer h.order.Unlock()
	h.passOn()
}

// passOn is pass for a caller that holds order.
func (h *Held) passOn() {
	h.mu.Lock()
	text, ended := h.text, h.ended
	h.text, h.ended = nil, false
	if h.timer != nil {
		h.timer.Stop()
	}
	h.mu.Unlock()
	if len(text) > 0 {
		_, _ = h.dst.Write(text) // as in Tail: what dst does not take is lost
	}
	if ended {
		h.flush()
	}
}

// Release passes on what was kept, and from now on all at once. It returns when
// that is done, or, with false, after atMost.
func (h *Held) Release(atMost time.Duration) (passed bool) {
	_, passed = h.ReleaseExcept(nil, atMost)
	return passed
}

// ReleaseExcept is Release without the last lines, if they are those of the other
// text as well and enough of them to make a difference, or all. It returns how many
// lines were left out.
func (h *Held) ReleaseExcept(other []byte, atMost time.Duration) (lines int, passed bool) {
	if h == nil {
		return 0, true
	}
	h.mu.Lock()
	if h.free && len(h.text) == 0 {
		h.mu.Unlock()
		return 0, true
	}
	h.free = true
	start := sameEnd(h.text, other)
	lines = bytes.Count(h.text[start:], []byte("\n"))
	if start > 0 && lines < fewLines {
		lines = 0
	}
	if lines > 0 {
		h.text = h.text[:start]
	}
	h.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.pass()
	}()
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-done:
		return lines, true
	case <-timer.C:
		return lines, false
	}
}

// sameEnd is where the last lines of a text begin that are those of the other, too.
func sameEnd(text, other []byte) (start int) {
	if len(text) == 0 || text[len(text)-1] != '\n' {
		return len(text)
	}
	start = len(text)
	for start > 0 && len(other) > 0 {
		line := text[bytes.LastIndexByte(text[:start-1], '\n')+1 : start]
		if !bytes.HasSuffix(other, line) {
			break
		}
		if other = other[:len(other)-len(line)]; len(other) > 0 && other[len(other)-1] != '\n' {
			break // it is the end of a longer line there
		}
		start -= len(line)
	}
	return start
}

// Seen returns what is remembered of all that went through, the last 64 KiB.
func (h *Held) Seen() []byte {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen.bytes()
}

// Forget ends remembering: nobody will ask for what went through.
func (h *Held) Forget() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen, h.blind = ring{}, true
}

// Flush has the destination write what it keeps back, if it does, behind what is
// kept back here.
func (h *Held) Flush() {
	h.mu.Lock()
	later := len(h.text) > 0
	h.ended = later
	h.mu.Unlock()
	if !later {
		h.order.Lock()
		defer h.order.Unlock()
		h.flush()
	}
}

// flush is Flush for a caller that holds order.
func (h *Held) flush() {
	if f, ok := h.dst.(Flusher); ok {
		f.Flush()
	}
}
