//go:build unix

package worker

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"sync"

	"github.com/gosuper/gosuper/worker/internal/limit"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// http1Writer is the writer of a request over HTTP/1.
type http1Writer struct {
	writer
	exchange *exchange
	header   http.Header // nil until the handler asks for it: net/http copies those that are asked for
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

// begin also notes how the client will find the end of the response.
func (w *http1Writer) begin(status int) {
	if te := w.header["Transfer-Encoding"]; len(te) > 0 && te[0] == "identity" {
		w.exchange.delimited = true
	}
	w.writer.begin(status)
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

// ReadFrom keeps sendfile. What other sources hold is written piece by piece: they
// may block, and nothing may wait for that.
func (w *http1Writer) ReadFrom(src io.Reader) (int64, error) {
	if w.exchange.tls != nil || !isFile(src) {
		buf := copyBuffers.Get().(*[copySize]byte)
		defer copyBuffers.Put(buf)
		return io.CopyBuffer(copier{w}, src, buf[:])
	}
	if err := w.enter(); err != nil {
		return 0, err
	}
	defer w.exit()
	if w.status.Load() == 0 {
		w.begin(http.StatusOK)
	}
	n, err := w.inner.(io.ReaderFrom).ReadFrom(src)
	w.bytes.Add(n)
	return n, err
}

// copySize is the size of copyBuffers, which is that of package io.
const copySize = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// sniffLength is how much of a body net/http looks at to find its type.
const sniffLength = 512

// copier writes what a source has. Where net/http would send the body as it comes, by
// the connection's ReadFrom, it does so too.
type copier struct{ w *http1Writer }

func (c copier) Write(data []byte) (int, error) {
	w := c.w
	if err := w.enter(); err != nil {
		return 0, err
	}
	defer w.exit()
	if w.status.Load() == 0 {
		w.begin(http.StatusOK)
	}
	n, err := w.inner.Write(data)
	unchunked := w.exchange.delimited || len(w.header["Content-Length"]) > 0
	if w.bytes.Add(int64(n)) < sniffLength || !unchunked || w.exchange.head || err != nil {
		return n, err
	}
	return n, w.inner.(interface{ FlushError() error }).FlushError()
}

// isFile reports whether the source is a file that does not block, or a part of one.
// Only types of package os count, since others that look like one may have a Read of
// their own: io.Copy gives one of these for a *os.File.
func isFile(src io.Reader) bool {
	if part, ok := src.(*io.LimitedReader); ok {
		src = part.R
	}
	file, ok := src.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return false
	}
	t := reflect.TypeOf(src)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() != "os" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular()
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
