package intake

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// A Socket is a listening socket that decides, when there is a connection in its
// queue and before it accepts it, whether this worker should: package net accepts
// whatever comes.
//
// The runtime's poller tells it of each new connection once. So it waits for the
// next one only after it has seen the queue empty, in attempt, which the poller
// calls again for all that has come since it called it before.
type Socket struct {
	fd    int
	addr  net.Addr
	terms Terms

	spread *spread // nil where no other worker is known
	wake   chan struct{}

	closing sync.Once
	closed  chan struct{}

	opening sync.Mutex // guards what follows
	file    *os.File   // of fd, in the poller; nil while held, so that connections do not wake this process
	raw     syscall.RawConn

	mu      sync.Mutex // held by Accept; guards what follows
	timer   *time.Timer
	yielded int64 // since when the queue's first is left to others, Monotonic, 0 if it is not
	warned  bool
	pause   time.Duration // after the next failure for lack of resources
	result  outcome
}

// An outcome is what attempt has to say when there is no use in waiting for
// another connection.
type outcome struct {
	kind  verdict
	fd    int           // accepted
	yield time.Duration // yielding, for so long ...
	until int64         // ... or until no busier than this
	err   error         // exhausted and broken
}

type verdict int

const (
	accepted  verdict = iota
	full              // the gate has no room
	yielding          // another worker should take it
	exhausted         // out of descriptors or memory
	broken            // not a listening socket
)

// How long accepting pauses when there is no descriptor or no memory left.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = time.Second
)

// New takes a listener of package net over, and closes it.
func New(inner Listener, terms Terms) (*Socket, error) {
	defer inner.Close()
	fd, err := duplicate(inner)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	s := &Socket{
		terms:  terms,
		fd:     fd,
		addr:   inner.Addr(),
		wake:   make(chan struct{}, 1),
		closed: make(chan struct{}),
		timer:  timer,
		pause:  firstPause,
	}
	if terms.Gate.place != nil {
		s.spread = &spread{fleet: terms.Fleet, own: terms.Place}
	}
	terms.Gate.attend(s.wake)
	if !terms.Gate.Held() {
		return s, s.open()
	}
	return s, nil
}

// Wake has a wait of Accept look again whether it may accept.
func (s *Socket) Wake() { wake(s.wake) }

// Addr returns the address of the socket.
func (s *Socket) Addr() net.Addr { return s.addr }

// Accept returns the next connection that is for this worker, and the gate has
// reserved room for it.
func (s *Socket) Accept() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.terms.Gate.Held() {
		select {
		case <-s.wake:
		case <-s.closed:
			return nil, s.failed(net.ErrClosed)
		}
	}
	if err := s.open(); err != nil {
		return nil, s.failed(err)
	}
	for {
		if err := s.raw.Read(s.attempt); err != nil {
			select {
			case <-s.closed:
				err = net.ErrClosed
			default: // its deadline, and what must not happen
			}
			return nil, s.failed(err)
		}
		switch s.result.kind {
		case accepted:
			s.pause = firstPause
			conn, err := s.wrap(s.result.fd)
			if err == nil {
				return conn, nil
			}
			s.terms.Gate.Cancel()
		case full:
			s.await(s.terms.Gate.limit-1, s.terms.Gate.expireFresh())
		case yielding:
			s.await(s.result.until, s.result.yield)
		case exhausted:
			s.terms.Gate.Present(false)
			s.exhausted(s.result.err)
			s.terms.Gate.Present(true)
		case broken:
			return nil, s.failed(s.result.err)
		}
	}
}

func (s *Socket) failed(err error) error {
	return &net.OpError{Op: "accept", Net: s.addr.Network(), Addr: s.addr, Err: err}
}

// attempt accepts a connection. It returns false when the queue is empty, and only
// then, so that the poller waits for another; otherwise the result is filled in.
func (s *Socket) attempt(fd uintptr) bool {
	force := s.terms.Force()
	if !force {
		s.terms.Gate.expireFresh()
		if s.terms.Gate.full() {
			s.result = outcome{kind: full}
			return true
		}
		left, until, empty := s.yield(int(fd))
		if empty {
			return false
		}
		if left > 0 {
			s.result = outcome{kind: yielding, yield: min(left, yieldStep), until: until}
			return true
		}
	}
	if !s.terms.Gate.Reserve(force) {
		s.result = outcome{kind: full} // by another listener, just now
		return true
	}
	conn, err := acceptRetry(int(fd))
	if err == nil {
		s.result = outcome{kind: accepted, fd: conn}
		return true
	}
	s.terms.Gate.Cancel()
	switch err {
	case unix.EAGAIN:
		return false
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EPERM:
		s.result = outcome{kind: exhausted, err: os.NewSyscallError("accept4", err)}
	default:
		s.result = outcome{kind: broken, err: os.NewSyscallError("accept4", err)}
	}
	return true
}

// acceptRetry passes over connections that broke while they waited, whose errors
// accept(2) returns as its own. The connection is not made non-blocking: wrap does so.
// The socket is, each time, since all who have it share whether it blocks, and any of
// them can change it.
func acceptRetry(fd int) (int, error) {
	for {
		if err := unix.SetNonblock(fd, true); err != nil {
			return -1, err
		}
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		switch err {
		case unix.EINTR, unix.ECONNABORTED, unix.EPROTO, unix.ENOPROTOOPT, unix.ENETDOWN,
			unix.ENETUNREACH, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENONET:
			continue
		}
		return conn, err
	}
}

// yield returns for how long the first connection in the queue is still to be left
// to somebody else, unless this worker is no busier than that before; or that there is
// none.
func (s *Socket) yield(fd int) (left time.Duration, until int64, empty bool) {
	c := s.spread.consider(s.standing())
	if c.time == 0 {
		s.yielded = 0
		return 0, 0, false
	}
	if !readable(fd) {
		s.yielded = 0
		return 0, 0, true
	}
	now := scoreboard.Monotonic()
	if s.yielded == 0 {
		s.yielded = now
	}
	if left = c.time - time.Duration(now-s.yielded); left > 0 {
		return left, c.until, false
	}
	s.yielded = 0
	s.spread.disregard(c.place)
	return 0, 0, false
}

// standing is this worker's.
func (s *Socket) standing() standing {
	return standing{busy: uint64(max(0, s.terms.Gate.busy.Load())), open: uint64(s.terms.Open()), ended: s.terms.Gate.ended.Load(), closed: s.terms.Gate.closed.Load()}
}

// readable reports whether there is something in the queue, which is so in case of
// doubt: accept then says what is wrong.
func readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return n != 0 || err != nil
}

// await waits for the time given, 0 for any, until the worker is no busier than the
// mark, or until the socket is to be emptied or is closed.
func (s *Socket) await(mark int64, d time.Duration) {
	s.terms.Gate.await(mark)
	defer s.terms.Gate.release()
	// Looked at once more, since nobody has woken this one before.
	if s.terms.Force() || s.terms.Gate.busy.Load() <= mark {
		return
	}
	var expired <-chan time.Time
	if d > 0 {
		s.timer.Reset(d)
		defer s.timer.Stop()
		expired = s.timer.C
	}
	select {
	case <-expired:
	case <-s.wake:
	case <-s.closed:
	}
}

// exhausted lets some time pass, for connections to end and others to take what
// waits.
func (s *Socket) exhausted(err error) {
	if !s.warned {
		s.warned = true
		s.terms.Warn("worker: cannot accept connections for the moment, said once: %v", err)
	}
	s.timer.Reset(s.pause)
	select {
	case <-s.timer.C:
	case <-s.closed:
		s.timer.Stop()
	}
	s.pause = min(2*s.pause, lastPause)
}

// wrap makes an accepted socket a connection of package net, which makes a copy of
// the descriptor. Where that fails for lack of one the connection waits here, since
// nobody else can take it any more; but not for long once the socket is closed.
func (s *Socket) wrap(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "connection")
	defer file.Close()
	for triesLeft := int(lastPause / firstPause); ; {
		conn, err := net.FileConn(file)
		switch {
		case err == nil && conn.RemoteAddr() == nil:
			// Reset while it waited, with nothing left to be read.
			conn.Close()
			return nil, unix.ECONNABORTED
		case !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE):
			return conn, err
		}
		select {
		case <-s.closed:
			if triesLeft--; triesLeft < 0 {
				return nil, err
			}
			time.Sleep(firstPause)
		default:
			s.exhausted(err)
		}
	}
}
