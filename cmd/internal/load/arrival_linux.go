package load

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A timedConn is a connection that knows when what it has read came in: on TCP the kernel
// notes that of each packet for a socket that asks (SO_TIMESTAMPNS, socket(7)).
type timedConn struct {
	net.Conn
	arrived time.Time // of the last that was read, without a monotonic reading; zero if unknown

	raw     syscall.RawConn
	receive func(fd uintptr) bool // receiveFrom, made once
	data    []byte                // what a read is to fill
	n       int                   // of it, done
	err     error
	control [64]byte
}

// timed has a connection of package net note arrivals, if it can.
func timed(conn net.Conn) *timedConn {
	c := &timedConn{Conn: conn}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	_ = raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1)
	})
	if err == nil {
		c.raw, c.receive = raw, c.receiveFrom
	}
	return c
}

func (c *timedConn) Read(data []byte) (int, error) {
	if c.raw == nil || len(data) == 0 {
		return c.Conn.Read(data)
	}
	c.data, c.n, c.err = data, 0, nil
	if err := c.raw.Read(c.receive); err != nil {
		return 0, err
	}
	return c.n, c.err
}

// receiveFrom reads what there is. It returns false if that is nothing yet.
func (c *timedConn) receiveFrom(fd uintptr) bool {
	n, controlled, _, _, err := unix.Recvmsg(int(fd), c.data, c.control[:], 0)
	switch {
	case err == unix.EAGAIN:
		return false
	case err != nil:
		c.err = &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("recvmsg", err)}
		return true
	case n == 0:
		c.err, c.arrived = io.EOF, time.Time{} // what has come in last is the end
		return true
	}
	c.n, c.arrived = n, arrival(c.control[:controlled])
	return true
}

// arrival is the time that the kernel has put beside what was read, if it did.
func arrival(control []byte) time.Time {
	for len(control) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		if header.Level == unix.SOL_SOCKET && header.Type == unix.SO_TIMESTAMPNS_NEW && len(data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
		}
		control = rest
	}
	return time.Time{}
}
