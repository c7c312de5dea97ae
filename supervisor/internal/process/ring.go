//go:build linux

package process

import (
	"slices"
	"sync"
)

// keep is how much of a worker's output is remembered.
const keep = 64 << 10

// ring holds the last bytes written to it, at most keep. It grows with what it
// is given. The zero value is empty.
type ring struct {
	buf     []byte
	next    int    // where the next byte goes once buf is full
	dropped bool   // something was overwritten
	written uint64 // bytes in all
}

func (r *ring) write(b []byte) {
	r.written += uint64(len(b))
	if room := keep - len(r.buf); room > 0 {
		n := min(room, len(b))
		r.buf = append(r.buf, b[:n]...)
		b = b[n:]
	}
	if len(b) == 0 {
		return
	}
	r.dropped = true
	if len(b) > keep {
		b = b[len(b)-keep:]
	}
	for len(b) > 0 {
		n := copy(r.buf[r.next:], b)
		r.next = (r.next + n) % keep
		b = b[n:]
	}
}

// bytes returns a copy, oldest first.
func (r *ring) bytes() []byte {
	b := make([]byte, 0, len(r.buf))
	b = append(b, r.buf[r.next:]...)
	return append(b, r.buf[:r.next]...)
}

// memory is what the Tails of one worker remember together.
type memory struct {
	mu   sync.Mutex // guards what follows; taken behind that of a Tail
	all  []*Tail    // the order in which those who want several lock them
	ring ring
	last *Tail // who wrote last
}

func (m *memory) join(t *Tail) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, t)
}

func (m *memory) members() []*Tail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all)
}

// write remembers what came from t. An unfinished line of the other stream ends
// before it.
func (m *memory) write(t *Tail, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last != t && m.ring.midLine() {
		m.ring.write([]byte("\n"))
	}
	m.ring.write(b)
	m.last = t
}

// bytes returns a copy, oldest first, whether nothing was lost before it, who wrote
// last, and how many bytes there were in all.
func (m *memory) bytes() (text []byte, whole bool, last *Tail, written uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ring.bytes(), !m.ring.dropped, m.last, m.ring.written
}

// endLine is the text as far as another than the last may go on from there.
func endLine(text []byte, last, next *Tail) []byte {
	if last != next && len(text) > 0 && text[len(text)-1] != '\n' {
		return append(text, '\n')
	}
	return text
}

// midLine reports that the last line has no end yet.
func (r *ring) midLine() bool {
	n := len(r.buf)
	return n > 0 && r.buf[(r.next+n-1)%n] != '\n'
}
