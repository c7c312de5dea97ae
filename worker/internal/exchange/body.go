//go:build unix

package exchange

import (
	"io"
	"os"
	"reflect"
	"sync"
)

// The other ways in which a handler writes the body of a response over HTTP/1.

func (w *http1Writer) WriteString(data string) (int, error) {
	if err := w.enterBody(); err != nil {
		return 0, err
	}
	defer w.exit()
	n, err := io.WriteString(w.inner, data)
	w.bytes.Add(int64(n))
	return n, err
}

// ReadFrom keeps sendfile. What other sources hold is written piece by piece: they
// may block, and nothing may wait for that.
func (w *http1Writer) ReadFrom(src io.Reader) (int64, error) {
	if w.exchange.tls != nil || !isFile(src) {
		buf := copyBuffers.Get().(*[copySize]byte)
		defer copyBuffers.Put(buf)
		return io.CopyBuffer(copier{w}, src, buf[:])
	}
	if err := w.enterBody(); err != nil {
		return 0, err
	}
	defer w.exit()
	n, err := w.inner.(io.ReaderFrom).ReadFrom(src)
	w.bytes.Add(n)
	return n, err
}

// readFrom is the connection's, and sends what src holds, by sendfile or splice where that is possible. How
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
	if err := w.enterBody(); err != nil {
		return 0, err
	}
	defer w.exit()
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
