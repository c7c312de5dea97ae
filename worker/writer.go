//go:build unix

package worker

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

// writer stands between a handler and the http.ResponseWriter of net/http. It sees
// the status, and the moment at which the header becomes final, which is when
// "Connection: close" can be added last. Everything that writes to the client
// passes through begin first.
//
// Unwrap serves http.ResponseController. Handlers that ask by type assertion
// instead need the methods themselves, and only those that the protocol has, which
// is why there is a type for each.
type writer struct {
	inner       http.ResponseWriter
	process     *process
	noKeepAlive bool
	status      int // of the final header, 0 before it
	hijacked    bool
	returned    bool // the handler returned and did not panic
}

// begin notes the status of the final header, just before net/http gets it.
func (w *writer) begin(status int) {
	w.status = status
	if status == http.StatusSwitchingProtocols {
		return // "Connection: upgrade" belongs to the handler
	}
	if w.noKeepAlive || w.process.drains.Load() {
		w.inner.Header().Set("Connection", "close")
	}
}

// finish does the accounting when the handler has returned or panicked.
func (w *writer) finish() {
	switch {
	case w.status != 0:
	case w.hijacked:
		// Spoken by the handler itself; an upgrade, as far as anybody can tell.
		w.status = http.StatusSwitchingProtocols
	case w.returned:
		// net/http is about to send an empty answer.
		w.begin(http.StatusOK)
	default:
		w.status = http.StatusInternalServerError
	}
	w.process.board.RequestFinished(w.status)
	w.inner = spent{}
}

// Unwrap returns the writer of net/http for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.inner }

func (w *writer) Header() http.Header { return w.inner.Header() }

func (w *writer) WriteHeader(status int) {
	final := status >= 200 || status == http.StatusSwitchingProtocols
	if final && w.status == 0 {
		w.begin(status)
	}
	w.inner.WriteHeader(status)
}

func (w *writer) Write(data []byte) (int, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	return w.inner.Write(data)
}

func (w *writer) WriteString(data string) (int, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	return io.WriteString(w.inner, data)
}

func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *writer) FlushError() error {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	return w.inner.(interface{ FlushError() error }).FlushError()
}

// CloseNotify is there for older handlers that ask for http.CloseNotifier.
func (w *writer) CloseNotify() <-chan bool {
	return w.inner.(http.CloseNotifier).CloseNotify()
}

// http1Writer is the writer of a request over HTTP/1.
type http1Writer struct {
	writer
}

func (w *http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.inner.(http.Hijacker).Hijack()
	if err == nil {
		w.hijacked = true
	}
	return conn, rw, err
}

// ReadFrom keeps sendfile and splice.
func (w *http1Writer) ReadFrom(src io.Reader) (int64, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	return w.inner.(io.ReaderFrom).ReadFrom(src)
}

// http2Writer is the writer of a request over HTTP/2.
type http2Writer struct {
	writer
}

func (w *http2Writer) Push(target string, opts *http.PushOptions) error {
	return w.inner.(http.Pusher).Push(target, opts)
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
