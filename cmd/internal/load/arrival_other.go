//go:build !linux

package load

import (
	"net"
	"time"
)

// A timedConn is a connection that knows when what it has read came in, on Linux.
type timedConn struct {
	net.Conn
	arrived time.Time
}

func timed(conn net.Conn) *timedConn { return &timedConn{Conn: conn} }
