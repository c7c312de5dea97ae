//go:build linux

package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"time"
)

const (
	forwardedFor   = "X-Forwarded-For"
	forwardedHost  = "X-Forwarded-Host"
	forwardedProto = "X-Forwarded-Proto"
	requestID      = "X-Request-Id"
)

// flushInterval is how long a part of a body of known length may be held back. All others
// are streams, and flushed at once.
const flushInterval = time.Millisecond

// handler forwards requests.
func (f *front) handler() http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite:       f.rewrite,
		Transport:     f.upstream,
		FlushInterval: flushInterval,
		BufferPool:    new(buffers),
		ErrorHandler:  f.failed,
		// What goes wrong in the middle of an answer the access log tells.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return duplex{forwarder{f, proxy}}
}

// A duplex is a forwarder whose program may answer before it has all of the body.
type duplex struct{ forwarder }

func (d duplex) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 || r.ContentLength == 0 {
		d.forwarder.ServeHTTP(w, r)
		return
	}
	rc := http.NewResponseController(w)
	_ = rc.EnableFullDuplex()
	d.forwarder.ServeHTTP(w, r)
	// What is left of the body net/http would read when the handler has returned, and there
	// it takes the end of it for the time to watch the connection, with which the next
	// request is met by a panic. A client that expects to be told
	// to send it may not have.
	if r.Header["Expect"] == nil && rc.Flush() == nil {
		r.Body.Close()
	}
}

// A forwarder is the handler of a front.
type forwarder struct {
	front *front
	proxy *httputil.ReverseProxy
}

func (f forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer f.front.showLife(r.Context())
	f.proxy.ServeHTTP(w, f.front.secret.unmark(r))
}

// Identify names a request that nobody has named, and returns its name: for the program
// and the access log it is the same.
func (f forwarder) Identify(r *http.Request) string {
	id := r.Header.Get(requestID)
	if id == "" {
		id = rand.Text()
		r.Header.Set(requestID, id)
	}
	return id
}

// rewrite makes of a request the one that the program gets. Host is the client's. What a
// proxy in front of this one says about host and protocol is believed where the peer is on
// this machine or in a private network; the last address of X-Forwarded-For is always the
// peer's. Of a request that another front has handed on all is as that has left it.
func (f *front) rewrite(r *httputil.ProxyRequest) {
	in, out := r.In.Header, r.Out.Header
	r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host
	out[forwardedFor] = in[forwardedFor]
	r.SetXForwarded()
	var believed []string
	peer, err := netip.ParseAddrPort(r.In.RemoteAddr)
	switch ip := peer.Addr().Unmap(); {
	case err != nil, handedOn(r.In.Context()) == sibling: // a unix socket has no address
		believed = []string{forwardedHost, forwardedProto, forwardedFor}
	case ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast():
		believed = []string{forwardedHost, forwardedProto}
	}
	for _, name := range believed {
		if given := in[name]; len(given) > 0 {
			out[name] = given
		}
	}
	if len(r.In.Trailer) > 0 {
		// In this map the values will be, when the body is read, and with chunks they can be
		// sent.
		r.Out.Trailer, r.Out.ContentLength = r.In.Trailer, -1
	}
	out.Del("Expect") // net/http asks the client for the body when that is first read
}

// statusClientGone is nginx's for a client that did not wait for the answer.
const statusClientGone = 499

// failed answers a request that the program did not.
func (f *front) failed(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusBadGateway, "The program behind this worker did not answer.\n"
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	switch _, broken := errors.AsType[bodyError](err); {
	case broken:
		w.Header().Set("Connection", "close")
		status, text = http.StatusBadRequest, "The body of the request could not be read.\n"
	case r.Context().Err() != nil:
		// Or it was answered at its deadline, and this goes nowhere.
		status, text = statusClientGone, ""
	case f.program.dead():
		w.Header().Set("Connection", "close")
		text = "The program behind this worker has ended.\n"
	case ok && timeout.Timeout():
		status, text = http.StatusGatewayTimeout, "The program behind this worker took too long to accept a connection.\n"
	default:
		f.failures.say(fmt.Sprintf("%s %s: %v", r.Method, r.URL.EscapedPath(), err))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// showLife returns at once, unless the request was ended at its deadline: then the program
// may be stuck, and this returns when it is not.
func (f *front) showLife(ctx context.Context) {
	if errors.Is(context.Cause(ctx), http.ErrHandlerTimeout) {
		f.pulse.feel(f.program.ended)
	}
}

// buffers are those that bodies are copied through. A stream holds one from its first byte
// to its last.
type buffers struct{ pool sync.Pool }

const bufferSize = 8 << 10

func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }
