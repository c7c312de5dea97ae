//go:build linux

package notify

import (
	"fmt"
	"iter"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

const (
	// A socket is read at most paceMessages times in paceWindow. That is far above what a worker has to say; a flood
	// at that pace costs the master about a hundredth of a core.
	paceMessages = 100
	paceWindow   = 100 * time.Millisecond
	// maxDescriptors is how many descriptors a report can bring; the kernel closes those for which there is no room.
	maxDescriptors = 4
)

// A Report is one message as it came.
type Report struct {
	Text   []byte // valid until the next one; nil if it did not fit
	Sender int    // a process, where the kernel says which

	descriptors []int
	end         bool // not a message: the far end is closed
}

// Close closes the descriptors that came with it.
func (r *Report) Close() {
	for _, fd := range r.descriptors {
		unix.Close(fd)
	}
	r.descriptors = nil
}

// A Reader receives reports from a socket of [NewPair], no faster than anybody needs to send them.
type Reader struct {
	conn          syscall.RawConn
	text, control []byte
	pace          pace
}

// NewReader returns a reader of messages of at most so many bytes. An error means that the socket is closed.
func NewReader(socket *os.File, size int) (*Reader, error) {
	conn, err := socket.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("cannot read from a socket: %w", err)
	}
	return &Reader{conn: conn, text: make([]byte, size), control: make([]byte, controlSize)}, nil
}

// Next returns the next report, which is to be closed. It returns false when stop or the socket was closed, or the
// far end of it, which is the only case in which ended is true.
func (r *Reader) Next(stop <-chan struct{}) (one Report, ended, ok bool) {
	for r.pace.wait(stop) {
		var failure error
		err := r.conn.Read(func(fd uintptr) bool {
			one, failure = read(int(fd), r.text, r.control)
			return failure != unix.EAGAIN
		})
		if err != nil || failure == nil {
			return one, one.end, err == nil && !one.end
		} // else the message is lost (ENOMEM), or none (ECONNRESET), and the pace keeps this from spinning
	}
	return Report{}, false, false
}

// receive handles reports until it is to stop, the socket is closed, or the far end of the pair is.
func (e *Endpoint) receive(socket *os.File, stop <-chan struct{}, believe func(sender int) bool) {
	reader, err := NewReader(socket, protocol.MaxNotify)
	if err != nil {
		return
	}
	for {
		r, _, ok := reader.Next(stop)
		if !ok {
			return
		}
		e.handle(r, stop, believe)
		r.Close()
	}
}

// Rest yields the reports of at most so many bytes that are in a socket of which nobody else reads any more, and
// whether one is the end of it instead, and closes them. There may be no end to them, where others have the far end too.
func Rest(fd, size int) iter.Seq2[Report, bool] {
	return func(yield func(one Report, ended bool) bool) {
		text, control := make([]byte, size), make([]byte, controlSize)
		for range paceMessages {
			r, err := read(fd, text, control)
			switch {
			case err == unix.EAGAIN:
				return
			case err != nil:
				continue // it has not read all that it was told (ECONNRESET), and what it has said comes behind
			}
			more := yield(r, r.end) && !r.end
			if r.Close(); !more {
				return
			}
		}
	}
}

// receiveRest handles what is in a socket of which nobody else reads any more.
func (e *Endpoint) receiveRest(fd int, believe func(sender int) bool) {
	for r := range Rest(fd, protocol.MaxNotify) {
		e.handle(r, e.inbox.done, believe)
	}
}

// handle passes a report on. The descriptor of a barrier is closed by the caller, when everything before it was
// delivered; its sender waits for that.
func (e *Endpoint) handle(r Report, stop <-chan struct{}, believe func(sender int) bool) {
	if r.Text == nil || !believe(r.Sender) {
		return
	}
	m, barrier := parse(r.Text)
	if barrier {
		e.inbox.drain(stop)
		return // sd_notify(3): not to be mixed with other assignments
	}
	e.inbox.put(m)
}

// A pace holds a reader back when messages come faster than anybody needs to send them.
type pace struct {
	since time.Time
	count int
}

// wait returns when the next message may be read, false when stop was closed instead.
func (p *pace) wait(stop <-chan struct{}) bool {
	p.count++
	if p.count > paceMessages {
		if rest := paceWindow - time.Since(p.since); rest > 0 {
			pause(rest, stop)
		}
		p.count = 1
	}
	if p.count == 1 {
		p.since = time.Now()
	}
	select {
	case <-stop:
		return false
	default:
		return true
	}
}
