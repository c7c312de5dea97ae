//go:build linux

package notify

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Snapshot is an endpoint for another image of this process to go on with: the descriptors stay open over the exec, and
// what the worker says meanwhile waits in them.
type Snapshot struct {
	Address  string  `state:"address"`
	Pair     int     `state:"pair,fd"`
	Datagram int     `state:"datagram,fd"` // -1: none
	Known    Message `state:"known"`
	Pending  Message `state:"pending"`
}

// Pause stops to receive. When the channel it returns is closed, deliver is not running and will not be called before
// the next Serve, and nothing that was received is lost. Until then deliver must go on being answered.
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

// Snapshot returns the endpoint, which is paused.
func (e *Endpoint) Snapshot() Snapshot {
	s := Snapshot{Address: e.address, Pair: number(e.pair), Datagram: -1, Known: e.inbox.known, Pending: e.inbox.pending}
	if e.datagram != nil {
		s.Datagram = number(e.datagram)
	}
	return s
}

// number is the descriptor of a file, which Fd would make blocking.
func number(f *os.File) int {
	n := -1
	if conn, err := f.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { n = int(fd) })
	}
	return n
}

// Restore returns the endpoint that a snapshot was taken of, to be served next.
func Restore(s Snapshot) (*Endpoint, error) {
	e := &Endpoint{address: s.Address, child: -1, inbox: inbox{done: make(chan struct{}), known: s.Known, pending: s.Pending}}
	if e.pair = os.NewFile(uintptr(s.Pair), "notify pair"); e.pair == nil {
		return nil, fmt.Errorf("cannot restore a notify pair: %w", errors.ErrUnsupported)
	}
	if s.Datagram >= 0 {
		e.datagram = os.NewFile(uintptr(s.Datagram), "notify socket")
	}
	return e, nil
}
