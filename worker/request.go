//go:build unix

package worker

import (
	"context"
	"net/http"
	"sync"

	"github.com/gosuper/gosuper/worker/internal/exchange"
	"github.com/gosuper/gosuper/worker/internal/limit"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// A Request is one request of a server that does not serve HTTP through [Serve]:
// it appears on the board, counts, and has the limits that requests have. Begin it,
// and end it when it is over, however that is.
//
// At its deadline the Request's context is cancelled; what to tell the client is for
// the server to decide. A request that has not ended one second later is stuck in
// the eyes of the master, which replaces the worker. All methods may be called by
// any goroutine.
type Request struct {
	server *exchange.Server
	watch  *limit.Watch // another request's once over

	mu     sync.Mutex // guards what follows
	over   bool
	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  bool // at its deadline
}

// Begin begins a request. Method and path are for people to read: the verb and the
// object of the protocol, such as "SET" and "user:17", or for gRPC "POST" and the
// full method name. They are cut to 16 and 128 bytes, and what is not printable
// ASCII is replaced. Do not put secrets in.
func Begin(method, path string) *Request { return self().beginRequest(method, path) }

func (p *process) beginRequest(method, path string) *Request {
	r := &Request{server: p.server, watch: p.server.Watch()}
	p.server.Begin(r.watch, expiry{r}, method, path)
	return r
}

// Progress says that the request is getting on: its timeout starts anew. Servers
// of streams call it for every message sent or received. After End it does nothing.
func (r *Request) Progress() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over && r.watch.Phase().Running() {
		r.watch.Touch()
	}
}

// Context returns a context that is cancelled when the request is ended, by End or
// at its deadline. In the latter case context.Cause gives http.ErrHandlerTimeout.
func (r *Request) Context() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx == nil {
		r.ctx, r.cancel = context.WithCancelCause(context.Background())
		switch {
		case r.ended:
			r.cancel(http.ErrHandlerTimeout)
		case r.over:
			r.cancel(nil)
		}
	}
	return r.ctx
}

// End ends the request. The status is HTTP's, or what comes closest: 200 for
// success, 400 for what the client did wrong, 500 for what the server did. Of a
// status outside 100 to 599 only the number of requests learns. A request that was
// ended at its deadline was counted then, with 504. A second End does nothing.
func (r *Request) End(status int) {
	r.mu.Lock()
	again := r.over
	r.over = true
	r.mu.Unlock()
	if again {
		return
	}
	r.server.End(r.watch, status)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		r.cancel(nil)
	}
}

// An expiry ends the request at its deadline.
type expiry struct{ r *Request }

// End cancels the context.
func (x expiry) End(limit.Phase) func() {
	r := x.r
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.cancel != nil {
		r.cancel(http.ErrHandlerTimeout)
	}
	return nil
}

// Account counts the request.
func (x expiry) Account() {
	x.r.server.Finish(x.r.watch, scoreboard.Monotonic(), http.StatusGatewayTimeout)
}
