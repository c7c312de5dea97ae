//go:build linux

package e2e

import (
	"bufio"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tokens reads so many of a stream, and returns whether it goes on: whether the worker has
// told nobody that it ends.
func (f *flight) tokens(t *testing.T, n int) (goesOn bool) {
	t.Helper()
	body := bufio.NewReader(f.answer.Body)
	for n > 0 {
		line, err := body.ReadString('\n')
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.HasPrefix(line, "event: error"):
			return false
		case strings.HasPrefix(line, "event: token"):
			n--
		}
	}
	return true
}

// A worker that is recycled stays beside its replacement until its streams have ended, for a
// while, and for nothing else than a recycling.
func TestRecyclingWaitsForStreams(t *testing.T) {
	t.Parallel()
	m := up(t, "workers = 1")
	// recycled opens a stream that lasts, has its worker replaced, and returns that worker, and
	// when its replacement was ready.
	recycled := func(replace func()) (f *flight, ready time.Time) {
		t.Helper()
		from := m.mark()
		f = m.fly("/stream?d=100ms")
		if !f.tokens(t, 15) {
			t.Fatal("the stream ended as it began")
		}
		replace()
		return f, m.wait(t, from, "worker ready", nil).at
	}
	wish := func() { m.get("/recycle?why=tired") }

	f, ready := recycled(wish)
	if !f.tokens(t, 20) {
		t.Error("the stream was told to end at once")
	}
	if all := m.all(0, "worker draining", match{"pid": f.pid()}); len(all) > 0 {
		t.Errorf("it drains while its stream lasts: %s", all[0].line)
	}
	closed := time.Now()
	f.conn.Close()
	drains := m.wait(t, 0, "worker draining", match{"pid": f.pid(), "reason": "tired"}).at
	t.Logf("it drained %v after its replacement was ready, and %v after its stream", drains.Sub(ready), drains.Sub(closed))
	if drains.Before(closed) || drains.Sub(closed) > late {
		t.Errorf("it was told to drain %v after its stream", drains.Sub(closed))
	}

	gone := func(pid int) { m.wait(t, 0, "worker gone", match{"pid": pid}) } // who drains may still accept
	gone(f.pid())

	f, ready = recycled(wish)
	if f.tokens(t, 1000) {
		t.Error("the stream was never told to end")
	}
	near(t, "a stream that does not end", m.wait(t, 0, "worker draining", match{"pid": f.pid(), "reason": "tired"}).at.Sub(ready), 7500*time.Millisecond)

	gone(f.pid())
	f, ready = recycled(func() { m.signal(syscall.SIGHUP) })
	if drains := m.wait(t, 0, "worker draining", match{"pid": f.pid(), "reason": "reload"}).at; drains.Sub(ready) > late {
		t.Errorf("a reload waited for %v", drains.Sub(ready))
	}
}
