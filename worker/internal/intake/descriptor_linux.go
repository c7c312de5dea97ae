package intake

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// duplicate returns a copy of the descriptor that shares the rest, O_NONBLOCK included. The
// Fd method of a file would take that away from all who hold the socket.
func duplicate(inner Listener) (fd int, err error) {
	raw, err := inner.SyscallConn()
	if err != nil {
		return -1, err
	}
	if controlErr := raw.Control(func(from uintptr) { fd, err = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) }); controlErr != nil {
		return -1, controlErr
	}
	return fd, os.NewSyscallError("fcntl", err)
}

// pollTries is how often open tries to be faster than who takes O_NONBLOCK away.
const pollTries = 1000

// open has the poller tell of connections.
func (s *Socket) open() error {
	s.opening.Lock()
	defer s.opening.Unlock()
	for range pollTries {
		if s.file != nil {
			return nil
		}
		if s.fd < 0 {
			return net.ErrClosed
		}
		if err := s.enter(); err != nil {
			return err
		}
	}
	return errors.New("another process has the socket block again and again")
}

// enter enters the socket into the poller, if it does not block. That holds for all who
// have the socket, and any of them can change it at any time.
func (s *Socket) enter() error {
	if err := unix.SetNonblock(s.fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(s.fd), "listener")
	if file.SetReadDeadline(time.Time{}) == nil { // else it is not in the poller
		raw, err := file.SyscallConn()
		s.file, s.raw = file, raw
		return err
	}
	again, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	file.Close() // and the descriptor
	s.fd = again // -1 with an error
	return os.NewSyscallError("fcntl", err)
}

// SyscallConn is there for options of the socket.
func (s *Socket) SyscallConn() (syscall.RawConn, error) {
	err := s.open()
	return s.raw, err
}

// SetDeadline bounds the wait for a connection.
func (s *Socket) SetDeadline(t time.Time) error {
	if err := s.open(); err != nil {
		return err
	}
	return s.file.SetReadDeadline(t)
}

// Close closes this descriptor, and ends Accept.
func (s *Socket) Close() error {
	s.closing.Do(func() { close(s.closed) })
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.file != nil || s.fd < 0 {
		return s.file.Close()
	}
	fd := s.fd
	s.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}
