//go:build unix

// Package exchange has the connections of a server of net/http, and the requests and
// answers that pass over them: it counts them, ends the requests whose time is over, and
// writes all of them to the access log.
package exchange

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/worker/internal/accesslog"
	"github.com/gosuper/gosuper/worker/internal/intake"
	"github.com/gosuper/gosuper/worker/internal/limit"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// Terms are those on which requests are served.
type Terms struct {
	Board    *scoreboard.Board
	Limits   *scoreboard.Limits
	Gate     *intake.Gate
	Access   *accesslog.Log      // nil: there is none
	Backlog  time.Duration       // in the queue after which a request is refused, 0: no limit
	Draining func() bool         // connections end with an answer, once it is their turn
	Over     func() bool         // the end of the drain has come
	Begun    func(number uint64) // called with each request that begins
	Failures uint32              // in a row, with each multiple of which Failing is called; 0: they are not counted
	Failing  func()
}

// A Server is what the connections and requests of a process have in common.
type Server struct {
	Terms
	overtime     atomic.Int64 // requests accounted for at their deadline, whose handlers have not returned
	http2Watches sync.Pool    // of requests that share a connection
	otherWatches sync.Pool    // of Begin
	empty        chan struct{}

	mu   sync.Mutex // guards open
	open map[*connection]struct{}
}

// New returns a server without connections.
func New(terms Terms) *Server {
	s := &Server{Terms: terms, empty: make(chan struct{}, 1), open: make(map[*connection]struct{})}
	s.http2Watches.New = s.newWatch(limit.Waiting)
	s.otherWatches.New = s.newWatch(limit.Idle)
	return s
}

// newWatch makes watches of requests that can be answered up to a phase.
func (s *Server) newWatch(answerable limit.Phase) func() any {
	return func() any {
		w := new(limit.Watch)
		w.Init(s.Limits, s.Board, &s.overtime, answerable)
		return w
	}
}

// Instrument puts the accounting into a server of net/http, whose connections are those
// of [Server.Add]. An IdleTimeout of zero becomes keepAlive, with which 0 is no keep-alive.
func (s *Server) Instrument(srv *http.Server, keepAlive time.Duration) {
	h := &handler{server: s, next: srv.Handler}
	if h.next == nil {
		h.next = http.DefaultServeMux
	}
	h.identifier, _ = h.next.(Identifier)
	srv.Handler = h
	if srv.IdleTimeout == 0 {
		srv.IdleTimeout = keepAlive
		h.noKeepAlive = keepAlive == 0
	}

	connState := srv.ConnState
	srv.ConnState = func(conn net.Conn, state http.ConnState) {
		if c := connectionOf(conn); c != nil {
			c.setState(state)
		}
		if connState != nil {
			connState(conn, state)
		}
	}
	connContext := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if connContext != nil {
			ctx = connContext(ctx, conn)
		}
		if c := connectionOf(conn); c != nil && ctx != nil {
			ctx = withConnection(ctx, c, conn)
		}
		return ctx
	}
}

// handler is the outermost handler of a server: it counts requests, puts them
// under watch, and hands a writer of its own to the caller's handler.
type handler struct {
	server      *Server
	next        http.Handler
	identifier  Identifier // nil: names are those that clients give
	noKeepAlive bool
}

// An Identifier is a handler that names its requests itself, each before it is on the
// board.
type Identifier interface {
	Identify(r *http.Request) string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := connectionFrom(r.Context())
	if c == nil {
		h.next.ServeHTTP(w, r) // the caller uses the handler by itself
		return
	}
	next := h.next
	if c.refuse() {
		next = refused
	}
	if r.ProtoMajor >= 2 && !hijackable(w) {
		h.serve2(c, w, r, next)
	} else {
		h.serve1(c, w, r, next)
	}
}

// hijackable tells an HTTP/1 connection that begins to speak HTTP/2, which handlers
// such as golang.org/x/net/http2/h2c take over, from one for which net/http does that.
func hijackable(w http.ResponseWriter) bool {
	_, ok := w.(http.Hijacker)
	return ok
}

// refused answers the first request of a connection that waited for too long: its
// client has probably given up, and serving it would make all that wait behind it
// late too.
var refused = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.(interface{ refuse() }).refuse()
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Connection", "close") // over HTTP/2 a GOAWAY
	http.Error(w, "503 Service Unavailable: waited for too long in the queue", http.StatusServiceUnavailable)
})

// Watch returns the watch of a request that is not HTTP, which Begin begins and End ends.
func (s *Server) Watch() *limit.Watch { return s.otherWatches.Get().(*limit.Watch) }

// Begin counts a request that is not HTTP and puts it under watch.
func (s *Server) Begin(w *limit.Watch, ender limit.Ender, method, path string) {
	s.begun(nil)
	w.Begin(ender, method, path, "")
}

// End ends the watch of a request that is over, and counts it unless that was done at its
// deadline.
func (s *Server) End(w *limit.Watch, status int) {
	w.Release()
	w.Over()
	if w.Conclude() {
		now := scoreboard.Monotonic()
		s.judge(w.Began(), now, status, "")
		s.Finish(w, now, status)
	}
	s.Gate.End()
	w.Wait()
	s.otherWatches.Put(w)
}

// begun counts a request that begins, on a connection of ours or, with nil, elsewhere.
func (s *Server) begun(ticket *intake.Ticket) {
	s.Gate.Begin(ticket)
	s.Begun(s.Board.RequestStarted())
}

// Finish counts a request that is over, and returns for how long it took: its handler has
// returned, or it was ended at its deadline, at the Monotonic time given.
func (s *Server) Finish(w *limit.Watch, now int64, status int) time.Duration {
	duration := time.Duration(now - w.Began())
	s.Board.Observe(duration)
	s.Board.RequestFinished(status)
	return duration
}

// AtWork reports whether a request has not been given its answer, or goes on behind the
// one it was given at its deadline.
func (s *Server) AtWork() bool {
	// In this order: a request is counted as one before it is not as the other.
	return s.Board.InFlight() > 0 || s.overtime.Load() > 0
}

// requestPath returns the path as it was sent, without the query.
func requestPath(r *http.Request) string {
	for i := range len(r.RequestURI) {
		if r.RequestURI[i] == '?' {
			return r.RequestURI[:i]
		}
	}
	return r.RequestURI
}

// identify names a request.
func (h *handler) identify(r *http.Request) string {
	if h.identifier != nil {
		return h.identifier.Identify(r)
	}
	return requestID(r)
}

// requestID returns what the client, or a proxy, calls the request.
func requestID(r *http.Request) string {
	if id := r.Header["X-Request-Id"]; len(id) > 0 {
		return id[0]
	}
	if id := r.Header["Traceparent"]; len(id) > 0 {
		return id[0]
	}
	return ""
}
