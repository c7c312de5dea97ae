package intake

import (
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

// open has the poller tell of connections.
func (s *Socket) open() error {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.file == nil && s.fd >= 0 {
		file := os.NewFile(uintptr(s.fd), "listener")
		raw, err := file.SyscallConn()
		if err != nil {
			return err
		}
		s.file, s.raw = file, raw
	}
	if s.file == nil {
		return net.ErrClosed
	}
	return nil
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
