//go:build linux

package notify

import (
	"os"
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

// A report is one message as it came.
type report struct {
	text        []byte // nil if it did not fit
	sender      int    // a process, where the kernel says which
	descriptors []int
	end         bool // not a message: the far end is closed
}

// receive handles reports until it is to stop, the socket is closed, or the far end of the pair is.
func (e *Endpoint) receive(socket *os.File, stop <-chan struct{}, believe func(sender int) bool) {
	conn, err := socket.SyscallConn()
	if err != nil {
		return // closed already
	}
	text := make([]byte, protocol.MaxNotify)
	control := make([]byte, controlSize)
	var pace pace
	for pace.wait(stop) {
		var r report
		var failure error
		err := conn.Read(func(fd uintptr) bool {
			r, failure = read(int(fd), text, control)
			return failure != unix.EAGAIN
		})
		if err != nil || r.end {
			return
		}
		if failure == nil { // else the message is lost (ENOMEM), and the pace keeps this from spinning
			e.handle(r, stop, believe)
		}
		for _, fd := range r.descriptors {
			unix.Close(fd)
		}
	}
}

// handle passes a report on. The descriptor of a barrier is closed by the caller, when everything before it was
// delivered; its sender waits for that.
func (e *Endpoint) handle(r report, stop <-chan struct{}, believe func(sender int) bool) {
	if r.text == nil || !believe(r.sender) {
		return
	}
	m, barrier := parse(r.text)
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
