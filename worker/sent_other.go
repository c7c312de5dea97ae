//go:build unix && !linux

package worker

import "net"

// lastSent does not know: only Linux tells.
func lastSent(*net.TCPConn) int64 { return 0 }
