//go:build unix

package worker

import (
	"net/http"
	"time"

	"github.com/gosuper/gosuper/worker/internal/accesslog"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

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
		if duration := w.count(now); w.entry != nil {
			w.log(duration, w.ending(gone))
		}
	}
	w.process.gate.End()
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
	return w.process.requestFinished(w.watch, now, int(w.status.Load()))
}

// clientGone reports whether net/http has found that. Nobody asks but the log.
func (w *writer) clientGone() bool {
	return w.process.access != nil && w.request.Context().Err() != nil
}

// ending is why a request ended whose handler has returned or panicked.
func (w *writer) ending(gone bool) accesslog.Ending {
	switch {
	case !w.returned:
		return accesslog.Panic
	case !gone:
		return accesslog.OK
	case w.process.drains.Load() && time.Now().After(w.process.deadline()):
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
	if !w.process.access.Write(e) {
		w.process.board.LogDropped()
	}
	e.Close()
}
