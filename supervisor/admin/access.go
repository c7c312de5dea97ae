//go:build linux

package admin

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gosuper/gosuper/supervisor/control"
)

// Rights are what those who connect may do.
type Rights int32

// The rights. To act is never granted where others than this machine can connect.
const (
	See Rights = iota // probes, metrics, the page
	Act               // also reload, scale and recycle
)

// actionHeader has to be on a request that acts. A form cannot set it, and a
// script of another site only after a preflight, which nobody here answers.
const actionHeader = "X-Gosuper-Action"

// Grant changes what those who connect may do.
func (e *Endpoint) Grant(r Rights) { e.rights.Store(int32(r)) }

// acts says whether those who connect may act.
func (e *Endpoint) acts() bool { return e.local && Rights(e.rights.Load()) == Act }

// isLocal says whether only this machine can connect to the address.
func isLocal(a net.Addr) bool {
	switch a := a.(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	}
	return false
}

// named lets requests through that name this server as only those can who mean
// it. A site whose name resolves to a loopback address (DNS rebinding) has the
// browser take its script and this server for one origin, but cannot keep the
// browser from saying whom it believes to talk to. Elsewhere the names of this
// machine, by which it is scraped, are not known, and nobody may act. Probes tell
// no more than that the master is well, and come by any name.
func (e *Endpoint) named(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if e.local && !isOwnName(r.Host) {
			http.Error(w, fmt.Sprintf("not for the host %q: take an address or localhost", r.Host), http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

// isOwnName says whether the host of a request cannot be the name of another.
func isOwnName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// acting lets requests through that act, if they may and nobody else made the
// browser send them. There is no session: to be able to connect is the
// permission. So there is no cookie that SameSite could withhold, and what a
// foreign site has the browser send has to be told apart by what it says of
// itself: Sec-Fetch-Site or Origin, the header and the type of its body.
func (e *Endpoint) acting(next http.Handler) http.HandlerFunc {
	foreign := http.NewCrossOriginProtection()
	return e.named(func(w http.ResponseWriter, r *http.Request) {
		refuse := func(why string) { http.Error(w, why, http.StatusForbidden) }
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		switch {
		case !e.acts():
			refuse("no actions here: they need admin.actions = true, and a loopback address or a unix socket as admin.bind")
		case foreign.Check(r) != nil:
			refuse("not for other sites")
		case r.Header.Get(actionHeader) == "":
			refuse("the header " + actionHeader + " is missing")
		case media != "application/json":
			http.Error(w, "the body must be application/json", http.StatusUnsupportedMediaType)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// handler is what an endpoint answers.
func (e *Endpoint) handler() http.Handler {
	interior := control.NewHandler(e.server.source)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", probed(e.server.serveHealth))
	mux.HandleFunc("GET /health/ready", probed(e.server.serveReady))
	mux.HandleFunc("GET /metrics", e.named(e.server.serveMetrics))
	mux.HandleFunc("GET /{$}", e.named(e.servePage))
	mux.HandleFunc("GET /feed", e.named(e.serveFeed))
	for _, what := range []string{"status", "incidents", "history"} {
		mux.HandleFunc("GET /v1/"+what, e.named(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := answering(r)
			defer cancel()
			interior.ServeHTTP(w, r.WithContext(ctx))
		}))
	}
	for _, action := range []string{"reload", "scale", "recycle"} {
		mux.HandleFunc("POST /v1/"+action, e.acting(interior))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		mux.ServeHTTP(w, r)
	})
}
