package wire

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// TestLastSent follows a connection whose other end reads no more.
func TestLastSent(t *testing.T) {
	server, _ := pair(t)
	before := scoreboard.Monotonic()
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	// The kernel counts in milliseconds, from a tick of its own.
	const tick = int64(20 * time.Millisecond)
	if sent, now := LastSent(server), scoreboard.Monotonic(); sent < before-tick || sent > now {
		t.Errorf("sent at %d, written from %d to %d", sent, before, now)
	}
	for {
		server.SetWriteDeadline(time.Now().Add(allowed))
		if _, err := server.Write(make([]byte, 1<<20)); errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(forever); LastSent(server) != 0; time.Sleep(time.Millisecond) { // between two looks
		if time.Now().After(end) {
			t.Fatal("what waits for its reader is taken for sent")
		}
	}
	server.Close()
	if sent := LastSent(server); sent != 0 {
		t.Errorf("on a closed connection it was sent at %d", sent)
	}
}
