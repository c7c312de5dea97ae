//go:build unix

package worker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How long to wait for a master that does not read. A drain has better things to
// do, and its master knows of it.
const (
	sendTimeout     = time.Second
	stoppingTimeout = 50 * time.Millisecond
)

// reporter sends messages to the master: through the inherited descriptor where
// there is one, else to the address of sd_notify(3), else nowhere.
type reporter struct {
	fd      int
	address string

	open    sync.Once
	conn    *net.UnixConn // of fd
	openErr error

	sending sync.Mutex // held while the write deadline is in use
}

// send sends one message, waiting no longer than the timeout. Without anybody to
// tell it does nothing.
func (r *reporter) send(message string, timeout time.Duration) error {
	conn, err := r.connect()
	if conn == nil && err == nil && r.address != "" {
		conn, err = dialNotify(r.address)
		if err == nil {
			defer conn.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("cannot report %s: %w", message, err)
	}
	if conn == nil {
		return nil
	}
	r.sending.Lock()
	defer r.sending.Unlock()
	if err := sendTo(conn, message, timeout); err != nil {
		return fmt.Errorf("cannot report %s: %w", message, err)
	}
	return nil
}

// connect returns the connection of the inherited descriptor, nil if there is
// none.
func (r *reporter) connect() (*net.UnixConn, error) {
	r.open.Do(func() {
		if r.fd == 0 {
			return
		}
		file := os.NewFile(uintptr(r.fd), "notify")
		defer file.Close() // FileConn has made a copy
		conn, err := net.FileConn(file)
		if err != nil {
			r.openErr = err
			return
		}
		unixConn, ok := conn.(*net.UnixConn)
		if !ok {
			conn.Close()
			r.openErr = fmt.Errorf("descriptor %d is a %s socket, not a unix one", r.fd, conn.LocalAddr().Network())
			return
		}
		r.conn = unixConn
	})
	return r.conn, r.openErr
}

// dialNotify connects to NOTIFY_SOCKET, an absolute path or an abstract address.
func dialNotify(address string) (*net.UnixConn, error) {
	if address[0] != '/' && address[0] != '@' {
		return nil, fmt.Errorf("%q is neither a path nor an abstract address", address)
	}
	return net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
}

// sendTo writes one message without raising SIGPIPE.
func sendTo(conn *net.UnixConn, message string, timeout time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	var sendErr error
	err = raw.Write(func(fd uintptr) bool {
		for {
			sendErr = unix.Send(int(fd), []byte(message), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			if !errors.Is(sendErr, unix.EINTR) {
				return !errors.Is(sendErr, unix.EAGAIN)
			}
		}
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("send", sendErr)
}
