package intake

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Queued returns for how long a request has waited on a connection that has just
// been accepted; 0 where nothing has been sent yet, and where that is not known,
// which is so for unix sockets.
//
// The kernel keeps no time of arrival. It knows, to within a few milliseconds, when
// the last data came in (tcpi_last_data_recv, tcp(7)). A client that sends its
// request in one go and then waits has waited since; one that goes on sending has
// waited for longer, and gets served. Without data the value is the age of the
// connection, and the last acknowledgement tells no more.
func Queued(conn net.Conn) time.Duration {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0
	}
	var waited time.Duration
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil && info.Bytes_received > 0 {
			waited = time.Duration(info.Last_data_recv) * time.Millisecond
		}
	})
	return waited
}
