//go:build unix

package exchange

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const (
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

// refuse notes that the answer is not the application's.
func (w *writer) refuse() { w.refused = true }

// judge counts how the application has answered a request.
func (w *writer) judge(now int64) {
	status := int(w.status.Load())
	if !w.returned && status < http.StatusInternalServerError {
		return // a response that was broken off is neither
	}
	path := w.path
	if w.request != nil {
		path = requestPath(w.request)
	}
	w.server.judge(w.watch.Began(), now, status, path)
}

// judge counts how the application has answered a request that began then and is over
// now. It is not called for one that was ended at its deadline.
func (s *Server) judge(began, now int64, status int, path string) {
	switch {
	case s.Failures == 0 || isProbe(path):
	case status < http.StatusInternalServerError:
		s.Board.Succeeded(began)
	case s.Board.Failed(now)%s.Failures == 0:
		s.Failing()
	}
}

// isProbe says whether a request asks how the worker is: that may go well with one that
// only fails, and may fail where there is nothing else to be done.
func isProbe(path string) bool {
	switch path {
	case "/metrics", "/ping":
		return true
	}
	return strings.HasPrefix(path, "/health") || strings.HasPrefix(path, "/live") || strings.HasPrefix(path, "/ready")
}
