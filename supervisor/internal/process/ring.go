//go:build linux

package process

// keep is how much of a worker's stderr is remembered.
const keep = 64 << 10

// ring holds the last bytes written to it, at most keep. It grows with what it
// is given. The zero value is empty.
type ring struct {
	buf     []byte
	next    int  // where the next byte goes once buf is full
	dropped bool // something was overwritten
}

func (r *ring) write(b []byte) {
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
