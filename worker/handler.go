//go:build unix

package worker

import (
	"net/http"
	"time"

	"github.com/gosuper/gosuper/worker/internal/intake"
	"github.com/gosuper/gosuper/worker/internal/limit"
	"github.com/gosuper/gosuper/worker/protocol"
)

// handler is the outermost handler of a server: it counts requests, puts them
// under watch, and hands a writer of its own to the caller's handler.
type handler struct {
	process     *process
	next        http.Handler
	noKeepAlive bool
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

// serve1 serves a request over HTTP/1. Those of one connection follow each other.
func (h *handler) serve1(c *connection, w http.ResponseWriter, r *http.Request, next http.Handler) {
	e := &c.exchange
	if e.Phase().Ended() {
		panic(http.ErrAbortHandler) // pipelined behind a request that timed out
	}
	h.process.requestStarted(c)
	id := requestID(r)
	w1 := &http1Writer{
		writer:   writer{inner: w, request: r, entry: h.process.access.Open(r, id), process: h.process, watch: &e.Watch, noKeepAlive: h.noKeepAlive},
		exchange: e,
	}
	e.begin(r, id, w1)
	defer w1.finish()
	next.ServeHTTP(w1, r)
	w1.returned = true
}

// refused answers the first request of a connection that waited for too long: its
// client has probably given up, and serving it would make all that wait behind it
// late too.
var refused = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Connection", "close") // over HTTP/2 a GOAWAY
	http.Error(w, "503 Service Unavailable: waited for too long in the queue", http.StatusServiceUnavailable)
})

// examine notes whether what has just been accepted waited for longer than the limit.
func (c *connection) examine(limit time.Duration) {
	if limit > 0 && intake.Queued(c.conn) > limit {
		c.late.Store(true)
	}
}

// refuse reports, once, whether the request that begins is to be refused.
func (c *connection) refuse() bool {
	return c != nil && c.late.Load() && c.late.Swap(false)
}

// requestStarted counts a request that begins, on a connection of ours or, with
// nil, elsewhere.
func (p *process) requestStarted(c *connection) {
	var ticket *intake.Ticket
	if c != nil {
		ticket = &c.ticket
	}
	p.gate.Begin(ticket)
	if n := p.board.RequestStarted(); n == p.maxRequests {
		// Elsewhere, since a master that does not read must not hold up the request.
		// A lost message costs no more than a worker that lives on.
		go func() { _ = p.reporter.send(protocol.NotifyRecycle+protocol.RecycleMaxRequests, sendTimeout) }()
	}
}

// requestFinished counts a request that is over: its handler has returned, or it
// was ended at its deadline, at the Monotonic time given.
func (p *process) requestFinished(w *limit.Watch, now int64, status int) time.Duration {
	duration := time.Duration(now - w.Began())
	p.board.Observe(duration)
	p.board.RequestFinished(status)
	return duration
}

// handlersAtWork reports whether a request has not been given its answer, or goes on
// behind the one it was given at its deadline.
func (p *process) handlersAtWork() bool {
	// In this order: a request is counted as one before it is not as the other.
	return p.board.InFlight() > 0 || p.overtime.Load() > 0
}
