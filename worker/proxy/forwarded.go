//go:build linux

package proxy

import (
	"crypto/rand"
	"net/http"
	"net/http/httputil"
	"net/netip"
)

const (
	forwardedFor   = "X-Forwarded-For"
	forwardedHost  = "X-Forwarded-Host"
	forwardedProto = "X-Forwarded-Proto"
	requestID      = "X-Request-Id"
)

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
// peer's.
func (f *front) rewrite(r *httputil.ProxyRequest) {
	in, out := r.In.Header, r.Out.Header
	r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host
	out[forwardedFor] = in[forwardedFor]
	r.SetXForwarded()
	peer, err := netip.ParseAddrPort(r.In.RemoteAddr)
	if ip := peer.Addr().Unmap(); err != nil || ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() {
		for _, name := range []string{forwardedHost, forwardedProto} {
			if given := in[name]; len(given) > 0 {
				out[name] = given
			}
		}
		if given := in[forwardedFor]; err != nil && len(given) > 0 {
			out[forwardedFor] = given // a unix socket has no address
		}
	}
	if len(r.In.Trailer) > 0 {
		// In this map the values will be, when the body is read, and with chunks they can be
		// sent.
		r.Out.Trailer, r.Out.ContentLength = r.In.Trailer, -1
	}
	out.Del("Expect") // net/http asks the client for the body when that is first read
}
