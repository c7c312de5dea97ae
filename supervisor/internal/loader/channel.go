//go:build linux

package loader

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/worker/protocol"
)

// maxDescriptors is how many one message can carry: SCM_MAX_FD in unix(7).
const maxDescriptors = 253

// A channel is what a loader and its workers speak by. It is made before the loader is
// started, and what is said before serve waits in the kernel.
type channel struct {
	fd      int            `state:"fd,fd"`
	socket  *os.File       `state:"-"`
	child   int            `state:"-"` // -1 once closed
	pausing chan struct{}  `state:"-"` // closed by pause; nil: nothing is received
	done    chan struct{}  `state:"-"` // closed by close
	readers sync.WaitGroup `state:"-"`
}

// newChannel makes one. It takes two descriptors, one once closeChild was called.
func newChannel() (*channel, error) {
	near, far, err := notify.NewPair()
	if err != nil {
		return nil, fmt.Errorf("cannot make a pair of sockets for a loader: %w", err)
	}
	c := &channel{fd: near}
	if err := c.reopen(); err != nil {
		unix.Close(far)
		return nil, err
	}
	c.child = far
	return c, nil
}

// reopen makes of a channel that was written down one that can be served.
func (c *channel) reopen() error {
	c.child, c.done = -1, make(chan struct{})
	if c.socket = os.NewFile(uintptr(c.fd), "loader"); c.socket == nil {
		return fmt.Errorf("cannot open the socket of a loader again: %w", os.ErrInvalid)
	}
	return nil
}

func (c *channel) closeChild() {
	if c.child >= 0 {
		unix.Close(c.child)
		c.child = -1
	}
}

// send asks the loader something.
func (c *channel) send(lines []string, descriptors []int) error {
	text := strings.Join(lines, "\n")
	switch {
	case len(text) > protocol.MaxLoader:
		return fmt.Errorf("the variables of a worker have %d bytes, more than %d", len(text), protocol.MaxLoader)
	case len(descriptors) > maxDescriptors:
		return fmt.Errorf("a worker has %d descriptors, more than the %d that can be sent to its loader", len(descriptors), maxDescriptors)
	}
	if err := unix.Sendmsg(c.fd, []byte(text), unix.UnixRights(descriptors...), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("cannot ask the loader: %w", err)
	}
	return nil
}

// end has the loader read the end of file. What it says is still heard.
func (c *channel) end() error {
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil && !errors.Is(err, unix.ENOTCONN) {
		return fmt.Errorf("cannot shut down the socket of a loader: %w", err)
	}
	return nil
}

// serve starts to receive. deliver is called by one goroutine, with one message at a
// time; it may block until close or pause.
func (c *channel) serve(deliver func(Message)) {
	stop := make(chan struct{})
	c.pausing = stop
	_ = c.socket.SetReadDeadline(time.Time{})
	c.readers.Go(func() { c.receive(stop, deliver) })
}

func (c *channel) receive(stop <-chan struct{}, deliver func(Message)) {
	reader, err := notify.NewReader(c.socket, protocol.MaxLoader)
	if err != nil {
		return
	}
	var sieve sieve
	for {
		r, ended, ok := reader.Next(stop)
		if ended {
			deliver(Message{Ended: true})
		}
		if !ok {
			return
		}
		r.Close() // there is nothing to be had by them
		m, err := Parse(r.Text)
		if err != nil {
			m = Message{Wrong: err.Error()}
		}
		if m.Sender = r.Sender; m.PID == 0 {
			m.PID = r.Sender
		}
		if sieve.news(&m) {
			deliver(m)
		}
	}
}

// pause stops to receive, and nothing that was received is lost. What it returns is
// closed when deliver is not running any more; until then that is to be answered.
func (c *channel) pause() <-chan struct{} {
	c.stop()
	_ = c.socket.SetReadDeadline(time.Unix(1, 0))
	paused := make(chan struct{})
	go func() {
		c.readers.Wait()
		close(paused)
	}()
	return paused
}

func (c *channel) stop() {
	if c.pausing != nil {
		close(c.pausing)
		c.pausing = nil
	}
}

// close closes the descriptors. deliver, which may be running, must return once done is
// closed, and is not waited for.
func (c *channel) close() {
	close(c.done)
	c.stop()
	c.closeChild()
	go c.socket.Close() // which waits until nobody reads
}

// A sieve lets pass what is news: what a loader repeats without end is not.
type sieve struct {
	ready    bool
	statuses map[string]bool
}

// maxStatuses is how many different texts of one loader are news.
const maxStatuses = 16

// news removes from a message what was said before, and reports whether there is
// anything left.
func (s *sieve) news(m *Message) bool {
	m.Ready, s.ready = m.Ready && !s.ready, s.ready || m.Ready
	if m.HasStatus && (s.statuses[m.Status] || len(s.statuses) == maxStatuses) {
		m.HasStatus, m.Status = false, ""
	}
	if m.HasStatus {
		if s.statuses == nil {
			s.statuses = map[string]bool{}
		}
		s.statuses[m.Status] = true
	}
	return m.Ready || m.HasStatus || m.ExtendTimeout > 0 || m.Spawned > 0 || m.Failed > 0 || m.Wrong != ""
}
