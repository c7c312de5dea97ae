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

	deliver deliver       `state:"-"`
	over    chan struct{} `state:"-"` // closed by finish and close; nil: there is no reader
	paused  bool          `state:"-"` // nothing was received before finish

	order sync.Mutex `state:"-"` // guards what follows; held while deliver runs
	sieve sieve      `state:"-"`
	left  []Message  `state:"-"` // that nobody has taken
}

// deliver passes a message on, and reports whether somebody has taken it. It may block until
// over is closed.
type deliver func(m Message, over <-chan struct{}) bool

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

// serve starts to receive. d is called with one message at a time.
func (c *channel) serve(d deliver) {
	stop := make(chan struct{})
	c.pausing, c.deliver = stop, d
	if c.over == nil { // else a reader may be there still, which a pause was too short for
		c.over = make(chan struct{})
	}
	over := c.over
	_ = c.socket.SetReadDeadline(time.Time{})
	c.readers.Go(func() { c.receive(stop, over, d) })
}

func (c *channel) receive(stop, over <-chan struct{}, d deliver) {
	reader, err := notify.NewReader(c.socket, protocol.MaxLoader)
	if err != nil {
		return
	}
	for {
		r, ended, ok := reader.Next(stop)
		if ok || ended {
			c.take(r, ended, over, d)
		}
		if !ok {
			return
		}
		r.Close() // there is nothing to be had by them
	}
}

// take has what is news in a report be delivered, and keeps it where nobody takes it.
func (c *channel) take(r notify.Report, ended bool, over <-chan struct{}, d deliver) {
	c.order.Lock()
	defer c.order.Unlock()
	m := Message{Ended: true}
	if !ended {
		var err error
		if m, err = Parse(r.Text); err != nil {
			m = Message{Wrong: err.Error()}
		}
		if m.Sender = r.Sender; m.PID == 0 {
			m.PID = r.Sender
		}
	}
	if c.sieve.news(&m) && !d(m, over) {
		c.left = append(c.left, m)
	}
}

// finish stops to receive, and returns what was said and nobody has taken: what was on its
// way, and what is in the socket. It waits for deliver if that is running. again undoes it.
func (c *channel) finish() []Message {
	if c.over == nil {
		return nil
	}
	close(c.over)
	c.paused = c.pausing == nil
	c.stop()
	_ = c.socket.SetReadDeadline(time.Unix(1, 0))
	c.readers.Wait()
	for r, ended := range notify.Rest(c.fd, protocol.MaxLoader) {
		c.take(r, ended, c.over, c.deliver)
	}
	left := c.left
	c.left, c.over = nil, nil
	return left
}

// again goes on to receive what others say who have the socket, unless there is a pause.
func (c *channel) again() {
	if c.deliver != nil && !c.paused {
		c.serve(c.deliver)
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

// close closes the descriptors. deliver, which may be running, is not waited for.
func (c *channel) close() {
	close(c.done)
	if c.over != nil {
		close(c.over)
	}
	c.stop()
	c.closeChild()
	go c.socket.Close() // which waits until nobody reads
}

// A sieve lets pass what is news: what a loader repeats without end is not.
type sieve struct {
	ready    bool
	ended    bool
	statuses map[string]bool
}

// maxStatuses is how many different texts of one loader are news.
const maxStatuses = 16

// news removes from a message what was said before, and reports whether there is
// anything left.
func (s *sieve) news(m *Message) bool {
	m.Ready, s.ready = m.Ready && !s.ready, s.ready || m.Ready
	m.Ended, s.ended = m.Ended && !s.ended, s.ended || m.Ended
	if m.HasStatus && (s.statuses[m.Status] || len(s.statuses) == maxStatuses) {
		m.HasStatus, m.Status = false, ""
	}
	if m.HasStatus {
		if s.statuses == nil {
			s.statuses = map[string]bool{}
		}
		s.statuses[m.Status] = true
	}
	return m.Ready || m.HasStatus || m.ExtendTimeout > 0 || m.Spawned > 0 || m.Failed > 0 || m.Wrong != "" || m.Ended
}
