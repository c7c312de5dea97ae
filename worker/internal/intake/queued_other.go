//go:build !linux

package intake

import (
	"net"
	"time"
)

// Queued returns 0: how long a connection has waited is known on Linux only.
func Queued(net.Conn) time.Duration { return 0 }
