package wire

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// LastSent returns when the connection last had room for new data at the other end,
// in Monotonic nanoseconds, 0 if it is waiting for that or is not being heard.
func LastSent(conn *net.TCPConn) int64 {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	var info *unix.TCPInfo
	err = raw.Control(func(fd uintptr) { info, _ = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil || info == nil || info.Retransmits > 0 || info.Probes > 0 {
		return 0
	}
	return scoreboard.Monotonic() - int64(info.Last_data_sent)*int64(time.Millisecond)
}
