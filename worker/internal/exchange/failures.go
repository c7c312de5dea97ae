//go:build unix

package exchange

import (
	"net/http"
	"strings"
)

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
