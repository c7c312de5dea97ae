//go:build linux

package proxy

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

// others are whoever else serves the address of a front whose program has ended, another
// worker or the one that takes this one's place. They get the requests of which the program
// has got nothing, once.
type others struct {
	program  *program
	draining <-chan struct{}
	fail     func() error // see worker.Fail
	secret   secret

	asked  sync.Once
	failed bool // valid once asked
}

const (
	// endingTime is what a program that gives up its connections may take to have ended.
	endingTime = time.Second
	// othersTime is how long another worker may take to answer: one that takes this one's
	// place starts first. It is less than a drain takes if nobody says until when.
	othersTime = protocol.UnboundedDrain - 10*time.Second
)

// connect returns a connection to one of them, for a request to which the program is not
// there; nil: the program has not ended, or there is nobody.
func (o *others) connect(r *http.Request) net.Conn {
	ctx := r.Context()
	address, ok := ctx.Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || handedOn(ctx) != nobody || !o.program.ending() {
		return nil
	}
	select {
	case <-o.program.ended:
	case <-time.After(endingTime):
		return nil
	case <-ctx.Done():
		return nil
	}
	if !o.take() {
		return nil
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, address.Network(), address.String())
	if err != nil {
		return nil
	}
	conn.SetReadDeadline(time.Now().Add(othersTime))
	if r.TLS != nil {
		// That nobody else listens there the socket says, which the master holds.
		conn = tls.Client(conn, &tls.Config{ServerName: r.TLS.ServerName, InsecureSkipVerify: true})
	}
	return conn
}

// take has the master start another front, and reports whether there will be one. A front
// that was told to drain may have been the last.
func (o *others) take() bool {
	o.asked.Do(func() {
		select {
		case <-o.draining:
		default:
			o.failed = o.fail() == nil
		}
	})
	return o.failed
}
