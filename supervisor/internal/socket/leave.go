package socket

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Quiesce keeps new connections away from sockets that are about to be closed, while those already made, and
// TCP handshakes under way, still reach the accept queue and can be accepted until it is empty. (Closing at once
// would reset everything that waits in the queue.) TCP: a filter drops the first SYN of a handshake; the client
// repeats it after a second and finds the port closed by then. Unix: the path is removed.
//
// Sockets that came from outside (systemd, fd://) are left alone: whoever passed them goes on using them, and
// a filter would outlive this process. Where the kernel has no such filter the error is errors.ErrUnsupported,
// and unix sockets are quiesced nevertheless.
func (s *Set) Quiesce() error {
	var errs []error
	for _, e := range s.all() {
		if err := e.quiesce(); err != nil {
			errs = append(errs, fmt.Errorf("cannot keep new connections from %s: %w", e.url, err))
		}
	}
	return errors.Join(errs...)
}

func (l *listener) quiesce() error {
	if !l.own || l.quiesced || l.fd < 0 {
		return nil
	}
	if l.bound.IsValid() {
		if err := dropSYN(l.fd); err != nil {
			return err
		}
	} else if err := l.unlink(); err != nil {
		return err
	}
	l.quiesced = true
	return nil
}

// Queue is how many connections wait to be accepted on all sockets of the set. A unix socket with any counts
// as one, because the kernel does not say how many; the same goes for TCP where there is no TCP_INFO.
func (s *Set) Queue() int {
	var n int
	for _, e := range s.all() {
		if e.listening && e.fd >= 0 {
			n += e.queue()
		}
	}
	return n
}

func (l *listener) queue() int {
	if l.bound.IsValid() {
		if n, err := tcpQueue(l.fd); err == nil {
			return n
		}
	}
	ready, err := unix.Poll([]unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}, 0)
	if err != nil {
		return 0
	}
	return ready
}

// Close closes the sockets and removes the paths of unix sockets made here, unless something else has taken the
// path since. Other sets that hold the same sockets lose them; close the difference of two sets instead. Closing
// twice is harmless.
func (s *Set) Close() error {
	var errs []error
	for _, e := range s.all() {
		if err := e.close(); err != nil {
			errs = append(errs, fmt.Errorf("cannot close %s: %w", e.url, err))
		}
	}
	return errors.Join(errs...)
}

func (l *listener) close() error {
	if l.fd < 0 {
		return nil
	}
	// In this order: while it is open the socket keeps its inode, so the number cannot belong to another file.
	err := l.unlink()
	err = errors.Join(err, unix.Close(l.fd))
	l.fd = -1
	l.listening = false
	return err
}
