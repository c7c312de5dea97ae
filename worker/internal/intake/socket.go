package intake

import (
	"net"
	"os"
	"syscall"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// A Listener is what *net.TCPListener and *net.UnixListener have in common.
type Listener interface {
	net.Listener
	syscall.Conn
	File() (*os.File, error)
	SetDeadline(time.Time) error
}

// Terms are those on which a socket accepts.
type Terms struct {
	Gate  *Gate
	Fleet *scoreboard.Fleet // where the other workers are, nil if nowhere
	Place int               // this worker's in Fleet
	Open  func() int        // the connections open now
	Force func() bool       // whether to accept whatever there is, whoever else could
	Warn  func(format string, args ...any)
}
