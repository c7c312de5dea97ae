//go:build unix

package worker

import (
	"cmp"
	"context"
	"crypto/tls"
	"log"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// drainTick is how often a drain looks for a deadline that was moved and for
// connections whose time is over.
const drainTick = 50 * time.Millisecond

// ListenAndServe serves HTTP with the handler, nil for http.DefaultServeMux: on
// the inherited sockets under gosuper or systemd, else on addr, which is
// "host:port" or "unix:/path". It returns nil after a drain, so that main can
// return and the process exit with status 0; any other return is a failure.
func ListenAndServe(addr string, handler http.Handler) error {
	return Serve(&http.Server{Handler: handler}, addr)
}

// Serve is ListenAndServe with the caller's own server. An empty addr stands for
// srv.Addr.
//
// Serve changes the server, which must not be used again afterwards: Handler,
// ConnState and ConnContext are wrapped in accounting that calls the original
// ones, and an IdleTimeout of zero becomes the keepalive setting, 5 s when run
// alone, whatever ReadTimeout is. An IdleTimeout of the caller's stays, and with a
// negative one idle connections are closed after the keepalive setting once
// draining. With keepalive 0 and no IdleTimeout every answer says
// "Connection: close".
//
// Limits that the caller leaves at zero are filled in: ReadHeaderTimeout, unless
// there is a ReadTimeout, becomes 10 s, within which a TLS handshake must be done too,
// and MaxHeaderBytes 128 KiB. Under a master that has a certificate, TCP sockets
// speak TLS, and with it HTTP/2; srv.TLSConfig then applies, and a certificate
// in it wins over the master's.
//
// Functions given to srv.RegisterOnShutdown run at the end of the drain. The
// caller need not handle signals, and should not call srv.Shutdown, which does
// what it does in net/http: Serve then returns http.ErrServerClosed.
func Serve(srv *http.Server, addr string) error { return self().serve(srv, addr) }

func (p *process) serve(srv *http.Server, addr string) error {
	p.watch()
	listeners, err := p.listen(cmp.Or(addr, srv.Addr))
	if err != nil {
		return err
	}
	return p.serveOn(srv, listeners)
}

// serveOn serves until the drain is over or a listener fails.
func (p *process) serveOn(srv *http.Server, listeners []*listener) error {
	p.server.Instrument(srv, p.keepAlive)
	harden(srv)
	p.secure(srv)

	var waiting atomic.Int32
	waiting.Store(int32(len(listeners)))
	accepting := func() {
		if waiting.Add(-1) > 0 {
			return
		}
		if err := p.setReady(); err != nil {
			logf(srv, "worker: %v", err)
		}
	}
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		entered := l.onAccept
		l.onAccept = func() { entered(); accepting() }
		l.warn = func(format string, args ...any) { logf(srv, format, args...) }
		go func() { ended <- p.serveListener(srv, l) }()
	}
	for range listeners {
		if err := <-ended; !p.drains.Load() {
			closeListeners(listeners)
			return err
		}
	}
	p.finish(srv)
	return nil
}

const (
	// readHeaderTimeout is what a client gets to send the header of a request, or a
	// TLS handshake: the slowest of networks manage in less, and those who send
	// a byte now and then hold a connection no longer than this.
	readHeaderTimeout = 10 * time.Second
	// maxHeaderBytes bounds the header of a request. The largest that are known to be
	// meant are Kerberos tickets of 64 KiB, in base64.
	maxHeaderBytes = 128 << 10
)

// harden fills in what net/http leaves unlimited.
func harden(srv *http.Server) {
	if srv.ReadHeaderTimeout == 0 && srv.ReadTimeout == 0 {
		srv.ReadHeaderTimeout = readHeaderTimeout
	}
	if srv.MaxHeaderBytes == 0 {
		srv.MaxHeaderBytes = maxHeaderBytes
	}
}

// secure gives the server the inherited certificate, if there is one, unless it has
// its own.
func (p *process) secure(srv *http.Server) {
	if p.certificate == nil {
		return
	}
	config := &tls.Config{}
	if srv.TLSConfig != nil {
		config = srv.TLSConfig.Clone()
	}
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		config.Certificates = []tls.Certificate{*p.certificate}
	}
	srv.TLSConfig = config
}

// serveListener serves one listener until it is closed: TCP with TLS, if there is a
// certificate, and with it HTTP/2.
func (p *process) serveListener(srv *http.Server, l *listener) error {
	if l.Addr().Network() == "tcp" && p.certificate != nil {
		return srv.ServeTLS(l, "", "")
	}
	return srv.Serve(l)
}

// finish waits, after the last Accept, until every connection has come to its end
// or the time is up.
func (p *process) finish(srv *http.Server) {
	<-p.draining // drain closes it just after drains is set; began is valid from here on
	began := scoreboard.Monotonic() - int64(time.Since(p.began))
	fresh := max(p.keepAlive, protocol.FreshConnection)
	idle := fresh
	if srv.IdleTimeout > 0 {
		// net/http ends these by itself, and only those in the middle of sending a
		// request are left.
		idle = srv.IdleTimeout + time.Second
	}
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for p.server.Open() > 0 || p.server.AtWork() {
		if p.over() {
			srv.Close()
			p.server.CloseAll() // hijacked ones too
			p.awaitAbort()
			break
		}
		p.server.Expire(began, fresh, idle)
		select {
		case <-p.server.Empty():
		case <-tick.C:
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), p.deadline())
	defer cancel()
	// Nothing is left that it could wait for or cut, but functions registered with
	// the server want to be called.
	_ = srv.Shutdown(ctx)
}

// awaitAbort waits for the abort signal, which ends the process, if that follows at the
// end of the drain: what handlers are at then, the stacks say.
func (p *process) awaitAbort() {
	until := p.board.DrainUntil()
	if until == 0 || p.orphaned.Load() != 0 {
		return
	}
	for end := fromMonotonic(until).Add(protocol.AbortGrace); p.board.AbortFollows() && p.server.AtWork() && time.Now().Before(end); {
		time.Sleep(drainTick)
	}
}

func logf(srv *http.Server, format string, args ...any) {
	if srv.ErrorLog != nil {
		srv.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}
