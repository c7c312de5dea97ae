//go:build unix

package worker

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// writer stands between a handler and the http.ResponseWriter of net/http. It sees
// the status, and the moment at which the header becomes final, which is when
// "Connection: close" can be added last. Everything that writes to the client
// enters first, and what enters after the deadline is refused.
//
// Unwrap serves http.ResponseController. Handlers that ask by type assertion
// instead need the methods themselves, and only those that the protocol has, which
// is why there is a type for each.
type writer struct {
	inner       http.ResponseWriter
	request     *http.Request // net/http's
	entry       *accessEntry  // nil without a log; who accounts for the request owns it
	process     *process
	watch       *watch
	noKeepAlive bool
	status      atomic.Int32 // of the final header, 0 before it
	bytes       atomic.Int64 // of the body, as far as the handler wrote it
	hijacked    bool
	returned    bool // the handler returned and did not panic

	guarded bool       // writing is in use
	writing sync.Mutex // held while anything is written, where only that keeps an answer at the deadline apart from the handler's bytes
}

// enter is called before anything is sent. Unless it returns an error, exit must
// follow.
func (w *writer) enter() error {
	if w.guarded {
		w.writing.Lock()
	}
	if w.watch.phase().ended() {
		w.exit()
		return errTimeout
	}
	return nil
}

func (w *writer) exit() {
	if w.guarded {
		w.writing.Unlock()
	}
}

// begin notes the status of the final header, just before net/http gets it.
func (w *writer) begin(status int) {
	if !w.status.CompareAndSwap(0, int32(status)) {
		return // answered at the deadline this very moment
	}
	if status != http.StatusSwitchingProtocols && (w.noKeepAlive || w.process.drains.Load()) {
		// With 101, "Connection: upgrade" belongs to the handler.
		w.inner.Header().Set("Connection", "close")
	}
	w.watch.advance(committed)
}

// isFinal reports whether a header of this status is the last one.
func isFinal(status int) bool { return status >= 200 || status == http.StatusSwitchingProtocols }

// tryLock gives whoever holds the lock time to get done with what it is doing,
// unless that blocks.
func tryLock(mu *sync.Mutex) bool {
	for end := time.Now().Add(5 * time.Millisecond); !mu.TryLock(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// Unwrap returns the writer of net/http for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.inner }

// CloseNotify is there for older handlers that ask for http.CloseNotifier, which
// is deprecated.
func (w *writer) CloseNotify() <-chan bool {
	return w.inner.(interface{ CloseNotify() <-chan bool }).CloseNotify()
}

// http1Writer is the writer of a request over HTTP/1.
type http1Writer struct {
	writer
	exchange *exchange
	header   http.Header // nil until the handler asks for it: net/http copies those that are asked for
}

// finish does what is to be done when the handler has returned or panicked.
func (w *http1Writer) finish() {
	if w.enter() == nil {
		if w.status.Load() == 0 && !w.hijacked && w.returned {
			w.begin(http.StatusOK) // net/http is about to send an empty answer
		}
		if w.guarded && !w.hijacked {
			// What net/http sends from here on, no lock holds back.
			w.watch.advance(streaming)
		}
		w.exit()
	}
	now := scoreboard.Monotonic()
	w.conclude(now)
	if w.hijacked {
		w.exchange.cancel(nil) // net/http does so too
	}
	w.exchange.drop()
	if w.returned && w.exchange.bodyless && w.watch.phase() == committed {
		// net/http sends what it has at this very moment, with no body to be read
		// before: the time of one is that of the other.
		w.watch.touchAt(now)
		w.watch.move(streaming)
	}
	w.inner, w.header, w.request = spent{}, nil, nil
}

// begin also notes how the client will find the end of the response.
func (w *http1Writer) begin(status int) {
	if te := w.header["Transfer-Encoding"]; len(te) > 0 && te[0] == "identity" {
		w.exchange.delimited = true
	}
	w.writer.begin(status)
}

func (w *http1Writer) Header() http.Header {
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

func (w *http1Writer) Write(data []byte) (int, error) {
	if err := w.enter(); err != nil {
		return 0, err
	}
	defer w.exit()
	if w.status.Load() == 0 {
		w.begin(http.StatusOK)
	}
	n, err := w.inner.Write(data)
	w.bytes.Add(int64(n))
	return n, err
}

func (w *http1Writer) WriteString(data string) (int, error) {
	if err := w.enter(); err != nil {
		return 0, err
	}
	defer w.exit()
	if w.status.Load() == 0 {
		w.begin(http.StatusOK)
	}
	n, err := io.WriteString(w.inner, data)
	w.bytes.Add(int64(n))
	return n, err
}

func (w *http1Writer) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *http1Writer) FlushError() error {
	if err := w.enter(); err != nil {
		return err
	}
	defer w.exit()
	if w.status.Load() == 0 {
		w.begin(http.StatusOK)
	}
	return w.inner.(interface{ FlushError() error }).FlushError()
}

// ReadFrom keeps sendfile and splice.
func (w *http1Writer) ReadFrom(src io.Reader) (int64, error) {
	if w.guarded {
		// Sources may block, and TLS has no sendfile.
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	if err := w.enter(); err != nil {
		return 0, err
	}
	if w.status.Load() == 0 {
		w.begin(http.StatusOK)
	}
	n, err := w.inner.(io.ReaderFrom).ReadFrom(src)
	w.bytes.Add(n)
	return n, err
}

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

// errSpent is for handlers that go on after they have returned.
var errSpent = errors.New("response used after its handler returned")

// spent takes the place of the inner writer once the handler has returned: an idle
// connection then holds on to nothing of its last request, and a goroutine that the
// handler left behind writes to nobody.
type spent struct{}

func (spent) Header() http.Header                                 { return make(http.Header) }
func (spent) WriteHeader(int)                                     {}
func (spent) Write([]byte) (int, error)                           { return 0, errSpent }
func (spent) FlushError() error                                   { return errSpent }
func (spent) ReadFrom(io.Reader) (int64, error)                   { return 0, errSpent }
func (spent) Hijack() (net.Conn, *bufio.ReadWriter, error)        { return nil, nil, errSpent }
func (spent) Push(target string, options *http.PushOptions) error { return errSpent }
func (spent) CloseNotify() <-chan bool                            { return nil }
