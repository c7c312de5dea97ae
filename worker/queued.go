//go:build unix

package worker

import (
	"net/http"
	"time"

	"github.com/gosuper/gosuper/worker/internal/intake"
)

// refused answers the first request of a connection that waited for too long: its
// client has probably given up, and serving it would make all that wait behind it
// late too.
var refused = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Connection", "close") // over HTTP/2 a GOAWAY
	http.Error(w, "503 Service Unavailable: waited for too long in the queue", http.StatusServiceUnavailable)
})

// examine notes whether what has just been accepted waited for longer than the limit.
func (c *connection) examine(limit time.Duration) {
	if limit > 0 && intake.Queued(c.conn) > limit {
		c.late.Store(true)
	}
}

// refuse reports, once, whether the request that begins is to be refused.
func (c *connection) refuse() bool {
	return c != nil && c.late.Load() && c.late.Swap(false)
}
