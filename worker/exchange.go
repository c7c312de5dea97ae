//go:build unix

package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/worker/internal/limit"
	"github.com/gosuper/gosuper/worker/internal/wire"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

const (
	// pieceSize is what is written at a time: a client that takes a large body
	// slowly makes progress with each piece.
	pieceSize = 64 << 10
	// answerTimeout is how long the answer at a deadline may take to be sent. There
	// is room for it unless the client has left earlier answers unread.
	answerTimeout = 250 * time.Millisecond
	// lingerTimeout is how long a connection is read empty after that answer:
	// closing it with bytes unread would reset it, and the client might never see
	// what it was sent. net/http waits as long (rstAvoidanceDelay).
	lingerTimeout = 500 * time.Millisecond
	// retryAfter is the value of Retry-After in that answer, in seconds.
	retryAfter = "5"
	// timeoutText is its body.
	timeoutText = "The request took too long and was ended.\n"
)

// errTimeout is what a handler gets from what it writes after the deadline, and
// the cause of its cancelled context.
var errTimeout = http.ErrHandlerTimeout

// stream is what TCP and unix connections have in common.
type stream interface {
	net.Conn
	CloseWrite() error
}

// An exchange is the HTTP/1 request under way on a connection, or the protocol for
// which a handler has hijacked it. All bytes of the connection pass through it: that
// is how it knows what was sent, and how it holds back what a handler sends too late.
// Over HTTP/2, and in servers that are not HTTP, no exchange is under way and the
// bytes just pass.
type exchange struct {
	limit.Watch
	conn   *connection
	raw    stream                  // beneath conn
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

func (e *exchange) init(c *connection) {
	e.conn = c
	p := c.set.process
	e.Init(&p.limits, p.board, &p.overtime, limit.Committed)
	if e.tcp != nil {
		e.Delivered(e.sent)
	}
	e.cancel = func(error) {}
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

// hijack goes on watching the connection on behalf of the handler.
func (e *exchange) hijack() {
	e.conn.deadline.End()
	e.holders.Add(1)
	e.hijacked.Store(true)
	e.Advance(limit.Upgraded)
	if e.conn.closed.Load() {
		e.gone()
	}
}

// gone is called when the connection is closed.
func (e *exchange) gone() {
	if e.hijacked.CompareAndSwap(true, false) {
		e.drop()
	}
	e.conclude(false)
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

// admit is asked before anything is written.
func (e *exchange) admit() error {
	switch p := e.Phase(); {
	case p == limit.Committed:
		if !e.Advance(limit.Streaming) {
			return e.admit()
		}
	case p.Ended() && !e.answering.Swap(false):
		return errTimeout
	}
	// What is written while waiting is an informational response.
	return nil
}

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

// readFrom sends what src holds, by sendfile or splice where that is possible. How
// it gets on, only the kernel knows.
func (e *exchange) readFrom(dst io.ReaderFrom, src io.Reader) (int64, error) {
	if err := e.admit(); err != nil {
		return 0, err
	}
	n, err := dst.ReadFrom(src)
	if n > 0 && e.Phase().Running() {
		e.Touch()
	}
	return n, err
}

// End answers the request or cuts its connection.
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

// sent asks the kernel, which wakes up a writer only after the client has taken a
// third of the send buffer: megabytes, perhaps, and minutes. For a file it does not
// do so before the end.
func (e *exchange) sent() int64 {
	if e.Phase() >= limit.Streaming {
		return wire.LastSent(e.tcp)
	}
	return 0
}

// Account accounts for the request at its deadline. Where the handler has returned already,
// nothing is left of it.
func (e *exchange) Account() {
	e.writer.account()
	e.conclude(false)
}

// answer sends the answer that takes the place of the handler's, and reports
// whether it did.
func (e *exchange) answer() bool {
	var w io.Writer = e.raw
	if e.tls != nil {
		// A handler that is sending loses to the answer first. One that waits in a
		// write for the rest of the body has nothing to lose.
		if writing := &e.writer.writing; tryLock(writing) {
			defer writing.Unlock()
		}
		w = e.tls
	}
	e.lingering.Store(true)
	e.raw.SetWriteDeadline(time.Now().Add(answerTimeout))
	proto, body := "1.1", timeoutText
	if e.http10 {
		proto = "1.0"
	}
	if e.head {
		body = ""
	}
	e.answering.Store(e.tls != nil)
	_, err := fmt.Fprintf(w, "HTTP/%s 504 Gateway Timeout\r\n"+
		"Date: %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nRetry-After: %s\r\nConnection: close\r\n\r\n%s",
		proto, time.Now().UTC().Format(http.TimeFormat), len(timeoutText), retryAfter, body)
	if e.tls != nil && err == nil {
		e.answering.Store(true)
		err = e.tls.CloseWrite()
	}
	if err == nil {
		err = e.raw.CloseWrite()
	}
	if err != nil {
		e.lingering.Store(false)
		return false
	}
	e.writer.answered(len(body))
	return true
}

// linger closes the connection once the client has closed it, or after a while.
func (e *exchange) linger() {
	limit := time.AfterFunc(lingerTimeout, func() { e.raw.Close() })
	for {
		// A deadline by which net/http ended its own read is none for this one.
		_, err := io.Copy(io.Discard, e.raw)
		if !errors.Is(err, os.ErrDeadlineExceeded) || e.raw.SetReadDeadline(time.Time{}) != nil {
			break
		}
	}
	limit.Stop()
	e.lingering.Store(false)
	e.conn.conn.Close()
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
