//go:build !linux

package wire

import "net"

// LastSent does not know: only Linux tells.
func LastSent(*net.TCPConn) int64 { return 0 }
