//go:build linux

package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// For the delay of a stop everything is served, new connections included, and a
// worker that crashes is replaced. A second TERM does not begin it anew.
func TestShutdownDelay(t *testing.T) {
	t.Parallel()
	m := up(t, `graceful_timeout = "1s"`, "[shutdown]", `delay = "4s"`)
	busy := m.fly("/sleep?d=1h").pid()
	begin := time.Now()
	from := m.mark()
	m.signal(syscall.SIGTERM)
	m.wait(t, from, "stopping, but still serving", nil)
	for slot, pid := range m.workers() {
		if pid == busy {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		m.wait(t, from, "worker started", match{"slot": slot, "reason": "crash"})
		m.wait(t, from, "worker ready", match{"slot": slot})
	}
	r := m.load(load.Plan{Connections: 2})
	r.more(100)
	none(t, "during the delay", r.end(), 100)
	m.signal(syscall.SIGTERM)
	m.signal(syscall.SIGHUP)
	m.wait(t, from, "reload ignored: stopping", nil)
	if n := len(m.all(from, "worker draining", nil)); n != 0 {
		t.Errorf("%d workers were told to finish during the delay", n)
	}
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	near(t, "the stop", time.Since(begin), 5*time.Second)
}

// A quick stop ends the delay.
func TestINTDuringDelay(t *testing.T) {
	t.Parallel()
	m := up(t, "[shutdown]", `delay = "1h"`)
	m.fly("/sleep?d=1h")
	m.signal(syscall.SIGTERM)
	m.wait(t, 0, "stopping, but still serving", nil)
	begin := time.Now()
	m.signal(syscall.SIGINT)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the quick stop took %v", took)
	}
}
