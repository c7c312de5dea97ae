//go:build unix

package exchange

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/worker/internal/accesslog"
	"github.com/gosuper/gosuper/worker/internal/limit"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// writer stands between a handler and the http.ResponseWriter of net/http. It sees
// the status, and the moment at which the header becomes final, which is when
// "Connection: close" can be added last. Everything that writes to the client
// enters first, and what enters after the deadline is refused.
//
// A writer belongs to one request and is never used for another: goroutines that a
// handler leaves behind go on holding it, and net/http gives what lies beneath it to
// the next request. So nothing of that is reached any more once the handler has
// returned, which waits for what is being written, and there is no Unwrap, which
// would hand it out: all that http.ResponseController looks for is here.
//
// Handlers that ask by type assertion instead need the methods themselves, and only
// those that the protocol has, which is why there is a type for each.
type writer struct {
	inner       http.ResponseWriter // not to be used once done
	request     *http.Request       // net/http's; nil once the handler has returned
	path        string              // of the request, if its answer is judged after that
	entry       *accesslog.Entry    // nil without a log; who accounts for the request owns it
	server      *Server
	conn        *connection
	watch       *limit.Watch // likewise: then it is another request's
	noKeepAlive bool
	hijacked    bool
	refused     bool         // the answer is not the application's
	returned    bool         // the handler returned and did not panic
	done        bool         // the request is over; written with writing and using, read with either
	status      atomic.Int32 // of the final header, 0 before it
	bytes       atomic.Int64 // of the body, as far as the handler wrote it

	writing sync.Mutex // held while anything is written
	using   sync.Mutex // held while inner is used for what ends at once, such as a deadline that is to end a write
}

// errTimeout is what a handler gets from what it writes after the deadline, and
// the cause of its cancelled context.
var errTimeout = http.ErrHandlerTimeout

// pieceSize is what is written at a time: a client that takes a large body
// slowly makes progress with each piece.
const pieceSize = 64 << 10

// errSpent is for handlers that go on after they have returned.
var errSpent = errors.New("response used after its handler returned")

// enter is called before anything is sent. Unless it returns an error, exit must
// follow.
func (w *writer) enter() error {
	w.writing.Lock()
	if w.done {
		w.writing.Unlock()
		return errSpent
	}
	if w.watch.Phase().Ended() {
		w.writing.Unlock()
		return errTimeout
	}
	return nil
}

func (w *writer) exit() { w.writing.Unlock() }

// enterLast is enter for the last time, when the handler has returned or panicked,
// and reports whether the request goes on until then. Leave must follow. What
// another goroutine is writing still belongs to the response, unless that is to be
// aborted: cut then has the write fail.
func (w *writer) enterLast(cut func()) (running bool) {
	if w.returned || !w.writing.TryLock() {
		if !w.returned {
			cut()
		}
		w.writing.Lock()
	}
	return !w.watch.Phase().Ended()
}

// leave is exit after which nobody enters any more.
func (w *writer) leave() {
	w.using.Lock()
	w.done = true
	w.using.Unlock()
	w.writing.Unlock()
}

// use calls f with the writer of net/http, unless the request is over, for what is
// not written.
func (w *writer) use(f func(inner http.ResponseWriter) error) error {
	w.using.Lock()
	defer w.using.Unlock()
	if w.done {
		return errSpent
	}
	return f(w.inner)
}

// controlled is what http.ResponseController looks for in a writer beside Flush and
// Hijack.
type controlled interface {
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	EnableFullDuplex() error
}

func (w *writer) SetReadDeadline(t time.Time) error {
	return w.use(func(inner http.ResponseWriter) error { return inner.(controlled).SetReadDeadline(t) })
}

func (w *writer) SetWriteDeadline(t time.Time) error {
	return w.use(func(inner http.ResponseWriter) error { return inner.(controlled).SetWriteDeadline(t) })
}

func (w *writer) EnableFullDuplex() error {
	return w.use(func(inner http.ResponseWriter) error { return inner.(controlled).EnableFullDuplex() })
}

// CloseNotify is there for older handlers that ask for http.CloseNotifier, which
// is deprecated.
func (w *writer) CloseNotify() <-chan bool {
	closed := notified
	_ = w.use(func(inner http.ResponseWriter) error {
		closed = inner.(interface{ CloseNotify() <-chan bool }).CloseNotify()
		return nil
	})
	return closed
}

// notified is for requests that are over: nobody should wait for their clients.
var notified = func() <-chan bool {
	c := make(chan bool)
	close(c)
	return c
}()

// begin notes the status of the final header, just before net/http gets it.
func (w *writer) begin(status int) {
	if !w.status.CompareAndSwap(0, int32(status)) {
		return // answered at the deadline this very moment
	}
	if status != http.StatusSwitchingProtocols && (w.noKeepAlive || w.conn.ends()) {
		// With 101, "Connection: upgrade" belongs to the handler.
		w.inner.Header().Set("Connection", "close")
	}
	w.watch.Advance(limit.Committed)
}

// isFinal reports whether a header of this status is the last one.
func isFinal(status int) bool { return status >= 200 || status == http.StatusSwitchingProtocols }

// A request is accounted for once, which is to say counted and written to the access
// log: when its handler has returned or panicked, and over HTTP/1, if its client has yet
// to send a body, when net/http has sent the answer; or at its deadline if that comes
// first. A handler that returns later changes nothing.

// conclude accounts for a request whose handler has returned or panicked, and whose
// client is gone or not.
func (w *writer) conclude(now int64, gone bool) {
	if w.watch.Conclude() {
		if w.status.Load() == 0 {
			w.status.Store(http.StatusInternalServerError)
		}
		if !gone && !w.refused {
			w.judge(now)
		}
		if duration := w.count(now); w.entry != nil {
			w.log(duration, w.ending(gone))
		}
	}
	w.server.Gate.End()
}

// answered notes that the client got the answer of a deadline, with so many bytes of
// body, in place of the handler's.
func (w *writer) answered(bytes int) {
	w.status.Store(http.StatusGatewayTimeout)
	w.bytes.Store(int64(bytes))
	w.watch.SetFirst(scoreboard.Monotonic())
}

// account accounts for a request at its deadline, which has been answered or cut.
func (w *writer) account() {
	if w.watch.First() == 0 && w.status.Load() != http.StatusSwitchingProtocols {
		// Cut, of what the handler wrote nothing was sent.
		w.status.Store(http.StatusGatewayTimeout)
		w.bytes.Store(0)
	}
	if duration := w.count(scoreboard.Monotonic()); w.entry != nil {
		w.log(duration, accesslog.Timeout)
	}
}

// count counts the request and returns for how long it took.
func (w *writer) count(now int64) time.Duration {
	return w.server.Finish(w.watch, now, int(w.status.Load()))
}

// clientGone reports whether net/http has found that. Nobody asks but the log, and who
// counts failures.
func (w *writer) clientGone() bool {
	return (w.server.Access != nil || w.server.Failures > 0) && w.request.Context().Err() != nil
}

// ending is why a request ended whose handler has returned or panicked.
func (w *writer) ending(gone bool) accesslog.Ending {
	switch {
	case !w.returned:
		return accesslog.Panic
	case !gone:
		return accesslog.OK
	case w.server.Draining() && w.server.Over():
		return accesslog.Drain
	}
	return accesslog.ClientGone
}

// log writes the line of the request.
func (w *writer) log(duration time.Duration, why accesslog.Ending) {
	e := w.entry
	w.entry = nil
	e.Status, e.Bytes, e.Duration, e.Ending = int(w.status.Load()), w.bytes.Load(), duration, why
	e.At = time.Now().Add(-duration)
	switch first := w.watch.First(); {
	case first != 0:
		e.Answered, e.FirstByte = true, time.Duration(first-w.watch.Began())
	case why == accesslog.OK: // net/http is about to send it
		e.Answered, e.FirstByte = true, duration
	default:
		e.Bytes = 0
	}
	if !w.server.Access.Write(e) {
		w.server.Board.LogDropped()
	}
	e.Close()
}
