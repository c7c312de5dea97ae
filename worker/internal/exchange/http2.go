//go:build unix

package exchange

import (
	"context"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/gosuper/gosuper/worker/internal/limit"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// http2Buffer is what net/http collects of a response before it sends it.
const http2Buffer = 4096

// serve2 serves a request over HTTP/2, beside others of the same connection.
func (h *handler) serve2(c *connection, w http.ResponseWriter, r *http.Request, next http.Handler) {
	h.server.begun(&c.ticket)
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	// Of the two requests, r stays with net/http.
	own := r.WithContext(ctx)
	id := h.identify(r)
	w2 := &http2Writer{
		writer: writer{inner: w, request: r, entry: h.server.Access.Open(r, id), server: h.server, conn: c, watch: h.server.http2Watches.Get().(*limit.Watch), noKeepAlive: h.noKeepAlive},
		cancel: cancel,
	}
	if own.Body != nil && own.Body != http.NoBody {
		w2.body = &http2Body{ReadCloser: r.Body, watch: w2.watch}
		own.Body = w2.body
	}
	w2.watch.Begin(http2Expiry{w2}, r.Method, requestPath(r), id)
	defer w2.finish()
	defer func() { r.MultipartForm = own.MultipartForm }() // for net/http to remove its files
	next.ServeHTTP(w2, own)
	w2.returned = true
}

// http2Body is the body of a request, in which every byte received is progress.
type http2Body struct {
	io.ReadCloser

	mu    sync.Mutex   // guards watch
	watch *limit.Watch // nil once the request is over
}

func (b *http2Body) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	if n > 0 {
		b.mu.Lock()
		if b.watch != nil && b.watch.Phase().Running() {
			b.watch.Touch()
		}
		b.mu.Unlock()
	}
	return n, err
}

// finish lets go of the watch. The handler may have left somebody behind who reads.
func (b *http2Body) finish() {
	b.mu.Lock()
	b.watch = nil
	b.mu.Unlock()
}

// http2Writer is the writer of a request over HTTP/2. The handler gets a header of
// its own, so that an answer at the deadline does not write to a map that the
// handler is writing to.
type http2Writer struct {
	writer
	cancel   context.CancelCauseFunc
	body     *http2Body  // nil if there is none
	header   http.Header // the handler's
	buffered int         // bytes in net/http's buffer, at most
}

// finish does what is to be done when the handler has returned or panicked. After
// it net/http uses the response for other requests.
func (w *http2Writer) finish() {
	w.watch.Release() // first: an answer at the deadline may be waiting for the client
	if w.enterLast(w.reset) {
		if w.status.Load() == 0 && w.returned {
			w.begin(http.StatusOK)
		}
		maps.Copy(w.inner.Header(), w.header) // trailers
		w.watch.Over()
	}
	w.leave()
	if w.body != nil {
		w.body.finish()
	}
	w.conclude(scoreboard.Monotonic(), w.clientGone())
	w.watch.Wait()
	w.inner = nil
	w.server.http2Watches.Put(w.watch)
}

// begin hands the header to net/http.
func (w *http2Writer) begin(status int) {
	w.copyHeader()
	w.writer.begin(status)
	w.inner.WriteHeader(status)
}

func (w *http2Writer) copyHeader() {
	header := w.inner.Header()
	clear(header)
	maps.Copy(header, w.header)
}

// An http2Expiry ends the request at its deadline.
type http2Expiry struct{ w *http2Writer }

// Account accounts for the request.
func (x http2Expiry) Account() { x.w.account() }

// End answers the request, or resets its stream, and leaves the other streams of
// the connection alone. A response that the handler has begun, but of which nothing
// was sent, is reset too: net/http cannot take its status back.
func (x http2Expiry) End(by limit.Phase) func() {
	w := x.w
	w.cancel(errTimeout)
	if by == limit.Answered && tryLock(&w.writing) {
		w.answer()
		w.writing.Unlock()
		if w.request.Context().Err() != nil {
			return nil // the stream has come to its end
		}
	}
	w.reset()
	return nil
}

// reset has net/http reset the stream, which it does with one whose write deadline is
// over, also under a handler that is blocked in a write.
func (w *http2Writer) reset() {
	w.inner.(interface{ SetWriteDeadline(time.Time) error }).SetWriteDeadline(time.Unix(1, 0))
}

// answer sends an answer that ends the stream. net/http ends streams when their
// handlers return, except that the header of an answer to HEAD is all there is: the
// request becomes one, since the handler has another, and the answer has no body.
// Were that to change, a body of no known length would be cut by the reset, which is
// still an answer.
func (w *http2Writer) answer() {
	w.request.Method = http.MethodHead
	header := w.inner.Header()
	clear(header)
	header.Set("Retry-After", retryAfter)
	w.inner.WriteHeader(http.StatusGatewayTimeout)
	w.inner.(http.Flusher).Flush()
	w.answered(0)
}

func (w *http2Writer) Header() http.Header {
	w.using.Lock()
	defer w.using.Unlock()
	if w.done {
		return make(http.Header)
	}
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

func (w *http2Writer) WriteHeader(status int) {
	if w.enter() != nil {
		return
	}
	defer w.exit()
	switch {
	case w.status.Load() != 0:
	case isFinal(status):
		w.begin(status)
	default:
		w.copyHeader()
		w.inner.WriteHeader(status)
	}
}

func (w *http2Writer) Write(data []byte) (int, error) {
	return w.send(len(data), func(from, to int) (int, error) { return w.inner.Write(data[from:to]) })
}

func (w *http2Writer) WriteString(data string) (int, error) {
	return w.send(len(data), func(from, to int) (int, error) { return io.WriteString(w.inner, data[from:to]) })
}

// send writes in pieces, so that a client that takes a large body slowly makes
// progress.
func (w *http2Writer) send(size int, write func(from, to int) (int, error)) (n int, err error) {
	if err := w.enter(); err != nil {
		return 0, err
	}
	defer w.exit()
	if w.status.Load() == 0 {
		w.begin(http.StatusOK)
	}
	for {
		piece := min(size-n, pieceSize)
		w.buffered += piece
		sends := w.buffered > http2Buffer
		if sends {
			w.buffered %= http2Buffer
			if !w.watch.Advance(limit.Streaming) {
				return n, errTimeout
			}
		}
		m, err := write(n, n+piece)
		n += m
		w.bytes.Add(int64(m))
		if err != nil {
			if w.watch.Phase().Ended() {
				err = errTimeout
			}
			return n, err
		}
		if sends {
			w.watch.Touch()
		}
		if n >= size {
			return n, nil
		}
	}
}

func (w *http2Writer) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *http2Writer) FlushError() error {
	if err := w.enter(); err != nil {
		return err
	}
	defer w.exit()
	if w.status.Load() == 0 {
		w.begin(http.StatusOK)
	}
	if !w.watch.Advance(limit.Streaming) {
		return errTimeout
	}
	w.buffered = 0
	err := w.inner.(interface{ FlushError() error }).FlushError()
	if err == nil {
		w.watch.Touch()
	}
	return err
}

func (w *http2Writer) Push(target string, opts *http.PushOptions) error {
	return w.use(func(inner http.ResponseWriter) error { return inner.(http.Pusher).Push(target, opts) })
}
