//go:build unix

package worker

import (
	"net/http"

	"github.com/gosuper/gosuper/worker/protocol"
)

// handler is the outermost handler of a server: it counts requests, and hands a
// writer of its own to the caller's handler.
type handler struct {
	process     *process
	next        http.Handler
	noKeepAlive bool
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := h.process
	if n := p.board.RequestStarted(); n == p.maxRequests {
		// Elsewhere, since a master that does not read must not hold up the request.
		// A lost message costs no more than a worker that lives on.
		go func() { _ = p.reporter.send(protocol.NotifyRecycle+protocol.RecycleMaxRequests, sendTimeout) }()
	}
	if r.ProtoMajor >= 2 {
		// Requests of one connection run side by side.
		w2 := &http2Writer{writer{inner: w, process: p}}
		defer w2.finish()
		h.next.ServeHTTP(w2, r)
		w2.returned = true
		return
	}
	var w1 *http1Writer
	if c := connectionFrom(r.Context()); c != nil {
		w1 = &c.writer // requests of one connection follow each other
	} else {
		w1 = new(http1Writer)
	}
	w1.writer = writer{inner: w, process: p, noKeepAlive: h.noKeepAlive}
	defer w1.finish()
	h.next.ServeHTTP(w1, r)
	w1.returned = true
}
