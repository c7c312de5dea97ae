//go:build linux

package notify

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// An Endpoint is where one worker reports. It is made before the worker is spawned, and what the worker says before
// [Endpoint.Serve] waits in the kernel.
//
// Its methods are for one goroutine, the supervisor's loop; messages come from others.
type Endpoint struct {
	address    string         `state:"address"`
	datagram   *os.File       `state:"-"` // nil: not made yet
	pair       *os.File       `state:"-"`
	pairFd     int            `state:"pair,fd"`
	datagramFd int            `state:"datagram,fd"`
	child      int            `state:"-"` // -1 once closed
	over       chan struct{}  `state:"-"` // what Close returned; nil: it was not called
	readers    sync.WaitGroup `state:"-"`
	pausing    chan struct{}  `state:"-"` // closed by Pause; nil: nothing is received
	inbox      inbox          `state:",inline"`
}

// New makes an endpoint. It takes three descriptors, two once [Endpoint.CloseChild] was called. The kernel bounds what
// may wait in them: a unix socket takes net.unix.max_dgram_qlen messages, and what they hold counts against the
// send buffer of the sender.
func New() (*Endpoint, error) {
	near, far, err := NewPair()
	if err != nil {
		return nil, fmt.Errorf("cannot make a notify pair: %w", err)
	}
	fd, address, err := newDatagram()
	if err != nil {
		unix.Close(near)
		unix.Close(far)
		return nil, fmt.Errorf("cannot make a notify socket: %w", err)
	}
	e := &Endpoint{address: address, pairFd: near, datagramFd: fd}
	if err := e.Reopen(); err != nil {
		return nil, err
	}
	e.child = far
	return e, nil
}

// Reopen makes of an endpoint that was written down one that can be served.
func (e *Endpoint) Reopen() error {
	e.child, e.inbox.done = -1, make(chan struct{})
	e.pair, e.datagram = os.NewFile(uintptr(e.pairFd), "notify pair"), os.NewFile(uintptr(e.datagramFd), "notify socket")
	if e.pair == nil || e.datagram == nil {
		return fmt.Errorf("cannot open the notify sockets of a worker again: %w", os.ErrInvalid)
	}
	return nil
}

// Pause stops to receive. When the channel it returns is closed, deliver is not running and will not be called before
// the next Serve, and nothing that was received is lost. Until then deliver must go on being answered. What the
// worker says meanwhile waits in the sockets.
func (e *Endpoint) Pause() <-chan struct{} {
	e.stop()
	e.setReadDeadline(time.Unix(1, 0))
	paused := make(chan struct{})
	go func() {
		e.readers.Wait()
		e.inbox.hold()
		close(paused)
	}()
	return paused
}

// Address is for NOTIFY_SOCKET: "@" and a name that cannot be guessed, in the abstract namespace of unix(7).
func (e *Endpoint) Address() string { return e.address }

// ChildFd is the descriptor that the worker is to inherit for GOSUPER_NOTIFY_FD, -1 after CloseChild. It is
// close-on-exec here, and blocking, so that a plain write(2) does.
func (e *Endpoint) ChildFd() int { return e.child }

// CloseChild closes the master's copy of ChildFd. Before that the far end never hangs up. A second call does nothing.
func (e *Endpoint) CloseChild() error {
	if e.child < 0 {
		return nil
	}
	fd := e.child
	e.child = -1
	return unix.Close(fd)
}

// Acknowledge tells a worker that was forked that the master knows it, see protocol.NotifyGo. Until then, or until
// Close, it waits.
func (e *Endpoint) Acknowledge() error {
	if err := unix.Sendmsg(e.pairFd, []byte(protocol.NotifyGo), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("cannot tell a worker to go on: %w", err)
	}
	return nil
}

// Look tells the worker that words on its board have changed, see protocol.NotifyLook.
func (e *Endpoint) Look() error {
	if err := unix.Sendmsg(e.pairFd, []byte(protocol.NotifyLook), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("cannot tell a worker to look at its board: %w", err)
	}
	return nil
}

// Serve starts to receive. pid is the worker, which leads its process group. deliver is called for what is new, one
// call at a time and in the order of each of the two ways, from goroutines that end with [Endpoint.Close]. It may
// block, which in the end makes the worker wait, but no longer than until Done is closed, and reports whether somebody
// has taken the message, which has to be so unless Done is closed. Serve is called once, and once more after each Pause.
func (e *Endpoint) Serve(pid int, deliver func(Message) bool) {
	stop := make(chan struct{})
	e.pausing = stop
	e.setReadDeadline(time.Time{})
	e.inbox.resume(deliver)
	e.readers.Go(func() { e.receive(e.pair, stop, anybody) })
	if e.datagram != nil {
		e.readers.Go(func() { e.receive(e.datagram, stop, familyOf(pid)) })
	}
}

// Finish ends what Serve began, or would have, for a worker whose process is gone, and returns what that has said and
// nobody has taken: what was on its way, and what was in the sockets. It closes Done, and waits for deliver if that is
// running. After Close it returns nothing.
func (e *Endpoint) Finish(pid int) Message {
	if e.inbox.closed() {
		return Message{}
	}
	close(e.inbox.done)
	e.stop()
	e.setReadDeadline(time.Unix(1, 0))
	e.readers.Wait()
	e.receiveRest(e.pairFd, anybody)
	if e.datagram != nil {
		e.receiveRest(e.datagramFd, remainsOf(pid))
	}
	return e.inbox.take()
}

// setReadDeadline can only fail where the poller does not know the sockets, and it does.
func (e *Endpoint) setReadDeadline(t time.Time) {
	_ = e.pair.SetReadDeadline(t)
	if e.datagram != nil {
		_ = e.datagram.SetReadDeadline(t)
	}
}

// stop has the readers end after the report that they are at.
func (e *Endpoint) stop() {
	if e.pausing != nil {
		close(e.pausing)
		e.pausing = nil
	}
}

// Done is closed when Close or Finish begins.
func (e *Endpoint) Done() <-chan struct{} { return e.inbox.done }

// Close closes the descriptors. When the channel it returns is closed, they are, and deliver neither runs nor is
// called. What was sent and not yet received is gone. A second call does nothing but return the channel.
func (e *Endpoint) Close() (over <-chan struct{}) {
	if e.over != nil {
		return e.over
	}
	ended := make(chan struct{})
	e.over = ended
	if !e.inbox.closed() {
		close(e.inbox.done)
	}
	e.stop()
	_ = e.CloseChild() // on sockets there is nothing that could fail
	go func() {
		defer close(ended)
		e.inbox.quiesce()
		_ = e.pair.Close()
		if e.datagram != nil {
			_ = e.datagram.Close()
		}
		e.readers.Wait()
	}()
	return ended
}
