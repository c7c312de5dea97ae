//go:build unix

package exchange

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"github.com/gosuper/gosuper/worker/internal/direct"
	"github.com/gosuper/gosuper/worker/internal/limit"
	"github.com/gosuper/gosuper/worker/internal/wire"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// This file is the life of one request over HTTP/1, in the order in which things happen
// to it: net/http has read its header, the handler answers, bytes pass over the connection,
// the time may be over, the handler returns, and setState hears that the connection is
// free for the next request, or closed.

// An exchange is the HTTP/1 request under way on a connection, or the protocol for
// which a handler has hijacked it. All bytes of the connection pass through it: that
// is how it knows what was sent, and how it holds back what a handler sends too late.
// Over HTTP/2, and in servers that are not HTTP, no exchange is under way and the
// bytes just pass.
type exchange struct {
	limit.Watch
	conn   *connection
	raw    direct.Stream           // beneath conn
	tcp    *net.TCPConn            // the same, or nil
	tls    *tls.Conn               // above conn, or nil
	cancel context.CancelCauseFunc // of the connection's context

	holders   atomic.Int32 // of the slot: the handler, and a connection that it has hijacked
	hijacked  atomic.Bool  // the connection is one of them
	lingering atomic.Bool  // whoever closes the connection leaves that to linger
	unsent    atomic.Bool  // the handler has returned, and net/http has yet to send the answer
	lost      atomic.Bool  // the client has hung up
	answering atomic.Bool  // with TLS: what is written next is the answer at the deadline

	// The next ones belong to the request; ended ones have no successor.
	writer    *http1Writer
	head      bool // nothing but a header may answer it
	bodyless  bool // it has no body itself
	http10    bool
	delimited bool // the end of the connection is the end of the response
}

// An http1Writer is the writer of a request over HTTP/1.
type http1Writer struct {
	writer
	exchange *exchange
	header   http.Header // nil until the handler asks for it: net/http copies those that are asked for
}

// serve1 serves a request over HTTP/1. Those of one connection follow each other.
func (h *handler) serve1(c *connection, w http.ResponseWriter, r *http.Request, next http.Handler) {
	e := &c.exchange
	if e.Phase().Ended() {
		panic(http.ErrAbortHandler) // pipelined behind a request that timed out
	}
	h.server.begun(&c.ticket)
	id := h.identify(r)
	w1 := &http1Writer{
		writer:   writer{inner: w, request: r, entry: h.server.Access.Open(r, id), server: h.server, conn: c, watch: &e.Watch, noKeepAlive: h.noKeepAlive},
		exchange: e,
	}
	e.begin(r, id, w1)
	defer w1.finish()
	next.ServeHTTP(w1, r)
	w1.returned = true
}

// begin puts the request under watch.
func (e *exchange) begin(r *http.Request, id string, w *http1Writer) {
	e.writer = w
	e.head = r.Method == http.MethodHead
	e.bodyless = r.ContentLength == 0
	e.http10 = !r.ProtoAtLeast(1, 1)
	e.delimited = e.http10
	e.holders.Store(1)
	if e.lost.Load() {
		e.lost.Store(false)
	}
	e.Begin(e, r.Method, requestPath(r), id)
}

func (w *http1Writer) Header() http.Header {
	w.using.Lock()
	defer w.using.Unlock()
	if w.done {
		return make(http.Header)
	}
	w.header = w.inner.Header()
	return w.header
}

func (w *http1Writer) WriteHeader(status int) {
	if w.enter() != nil {
		return
	}
	defer w.exit()
	if isFinal(status) && w.status.Load() == 0 {
		w.begin(status)
	}
	w.inner.WriteHeader(status)
}

// begin also notes how the client will find the end of the response.
func (w *http1Writer) begin(status int) {
	if te := w.header["Transfer-Encoding"]; len(te) > 0 && te[0] == "identity" {
		w.exchange.delimited = true
	}
	w.writer.begin(status)
}

// enterBody is enter for what needs a header before it.
func (w *http1Writer) enterBody() error {
	err := w.enter()
	if err == nil && w.status.Load() == 0 {
		w.begin(http.StatusOK)
	}
	return err
}

func (w *http1Writer) Write(data []byte) (int, error) {
	if err := w.enterBody(); err != nil {
		return 0, err
	}
	defer w.exit()
	n, err := w.inner.Write(data)
	w.bytes.Add(int64(n))
	return n, err
}

func (w *http1Writer) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *http1Writer) FlushError() error {
	if err := w.enterBody(); err != nil {
		return err
	}
	defer w.exit()
	return w.inner.(interface{ FlushError() error }).FlushError()
}

// Hijack goes on watching the connection on behalf of the handler.
func (w *http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.enter(); err != nil {
		return nil, nil, err
	}
	defer w.exit()
	conn, rw, err := w.inner.(http.Hijacker).Hijack()
	if err == nil {
		w.hijacked = true
		// What the handler speaks itself is an upgrade, as far as anybody can tell.
		w.status.CompareAndSwap(0, http.StatusSwitchingProtocols)
		w.exchange.hijack()
	}
	return conn, rw, err
}

func (e *exchange) hijack() {
	e.conn.deadline.End()
	e.holders.Add(1)
	e.hijacked.Store(true)
	e.Advance(limit.Upgraded)
	if e.conn.closed.Load() {
		e.gone()
	}
}

// write is the connection's: net/http sends what it holds of the response.
func (e *exchange) write(data []byte) (int, error) {
	n, err := e.send(data)
	if e.unsent.Load() {
		e.conclude(n > 0)
	}
	return n, err
}

// send sends a piece after the other. What net/http holds back until the handler has
// returned fits into its buffers and counts as one.
func (e *exchange) send(data []byte) (n int, err error) {
	for {
		if err := e.admit(); err != nil {
			return n, err
		}
		if !e.Phase().Running() {
			m, err := e.raw.Write(data)
			return n + m, err
		}
		m, err := e.raw.Write(data[:min(len(data), pieceSize)])
		n += m
		if err != nil {
			return n, err
		}
		data = data[m:]
		if len(data) > 0 || e.holders.Load() > 0 {
			e.Touch()
		}
		if len(data) == 0 {
			return n, nil
		}
	}
}

// admit is asked before anything is sent.
func (e *exchange) admit() error {
	switch p := e.Phase(); {
	case p == limit.Committed:
		if !e.Advance(limit.Streaming) {
			return e.admit()
		}
	case p.Ended() && !e.answering.Swap(false):
		return errTimeout
	}
	// What is sent while waiting is an informational response.
	return nil
}

// sent asks the kernel, which wakes up a writer only after the client has taken a
// third of the send buffer: megabytes, perhaps, and minutes. For a file it does not
// do so before the end.
func (e *exchange) sent() int64 {
	if e.Phase() >= limit.Streaming {
		return wire.LastSent(e.tcp)
	}
	return 0
}

// read is the connection's: the body arrives, or whatever comes next.
func (e *exchange) read(data []byte) (int, error) {
	n, err := e.conn.deadline.Read(e.raw, data)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		e.lost.Store(true)
	}
	switch p := e.Phase(); {
	case p.Running() && n > 0:
		e.Touch()
	case p.Ended():
		return 0, errTimeout
	}
	return n, err
}

// End answers the request at its deadline, or cuts its connection.
func (e *exchange) End(by limit.Phase) func() {
	e.cancel(errTimeout) // first, since closing the connection cancels without a cause
	if by == limit.Answered && e.answer() {
		return e.linger
	}
	return func() {
		if e.tcp != nil && e.delimited {
			// Closed in good order, what was sent would look like all there is. Unix
			// sockets have no such thing: a proxy there has to speak HTTP/1.1.
			e.tcp.SetLinger(0)
		}
		e.conn.conn.Close()
	}
}

// Account accounts for the request at its deadline. Where the handler has returned already,
// nothing is left of it.
func (e *exchange) Account() {
	e.writer.account()
	e.conclude(false)
}

// finish does what is to be done when the handler has returned or panicked.
func (w *http1Writer) finish() {
	if w.enterLast(func() { w.exchange.conn.conn.Close() }) {
		if w.status.Load() == 0 && !w.hijacked && w.returned {
			w.begin(http.StatusOK) // net/http is about to send an empty answer
		}
	}
	w.leave()
	// An idle connection holds on to nothing of its last request.
	w.inner, w.header = nil, nil
	unsent := w.returned && w.watch.Phase() == limit.Committed
	if unsent && !w.exchange.bodyless {
		// net/http may wait for the rest of the body before it sends the answer, and
		// the client may withhold it.
		if w.clientGone() {
			w.exchange.lost.Store(true) // asked now, before net/http cancels the context
		}
		if w.server.Failures > 0 {
			w.path = strings.Clone(requestPath(w.request))
		}
		w.request = nil
		w.exchange.unsent.Store(true)
		if w.watch.Phase() != limit.Committed {
			w.exchange.conclude(false) // ended just now, by who may not have seen it
		}
		return
	}
	now := scoreboard.Monotonic()
	w.conclude(now, w.clientGone())
	w.request = nil
	if w.hijacked {
		w.exchange.cancel(nil) // net/http does so too
	}
	w.exchange.drop()
	if unsent {
		// net/http sends it at this very moment: the time of one is that of the other.
		w.watch.TouchAt(now)
		w.watch.Move(limit.Streaming)
	}
}

// conclude concludes a request whose handler returned before its client had sent all
// of the body: what became of the answer is known only now.
func (e *exchange) conclude(sent bool) {
	if !e.unsent.CompareAndSwap(true, false) {
		return
	}
	if !sent && e.Phase() == limit.Streaming {
		e.SetFirst(0) // it was about to be
	}
	e.writer.conclude(scoreboard.Monotonic(), !sent || e.lost.Load())
	e.drop()
}

// drop lets go of the slot for one of its holders.
func (e *exchange) drop() {
	if e.holders.Add(-1) != 0 {
		return
	}
	e.Release()
	if e.Phase() == limit.Upgraded {
		e.Over()
		e.Stop()
	}
}

// gone is called when the connection is closed.
func (e *exchange) gone() {
	if e.hijacked.CompareAndSwap(true, false) {
		e.drop()
	}
	e.conclude(false)
}
