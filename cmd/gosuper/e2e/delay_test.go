//go:build linux

package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// For the delay of a stop everything is served, new connections included, and a
// worker that crashes is replaced.
func TestShutdownDelay(t *testing.T) {
	t.Parallel()
	m := up(t, "[shutdown]", `delay = "1h"`)
	busy := m.fly("/sleep?d=1h").pid()
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
	m.signal(syscall.SIGHUP)
	m.wait(t, from, "reload ignored: stopping", nil)
	if n := len(m.all(from, "worker draining", nil)); n != 0 {
		t.Errorf("%d workers were told to finish during the delay", n)
	}
}

// The stop follows the delay to the moment, and more TERMs do not begin it anew.
func TestShutdownDelayEnds(t *testing.T) {
	t.Parallel()
	const delay, grace = 2 * time.Second, time.Second
	m := up(t, fmt.Sprintf("graceful_timeout = %q", grace), "[shutdown]", fmt.Sprintf("delay = %q", delay))
	m.fly("/sleep?d=1h")
	m.signal(syscall.SIGTERM)
	begin := m.wait(t, 0, "stopping, but still serving", nil)
	// Had any of them begun the delay anew, it would not end.
	for again := time.NewTicker(delay / 10); len(m.all(0, "worker draining", nil)) == 0; <-again.C {
		m.cmd.Process.Signal(syscall.SIGTERM) // unless it has ended meanwhile
		if time.Since(begin.at) > testTimeout {
			t.Fatal("the delay does not end")
		}
	}
	drain := m.wait(t, 0, "worker draining", match{"reason": "stop"})
	near(t, "the delay", drain.at.Sub(begin.at), delay)
	stopped := m.wait(t, 0, "stopped", nil)
	near(t, "what the request in flight was given", stopped.at.Sub(drain.at), grace)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
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
	if took := time.Since(begin); took > time.Second+late {
		t.Errorf("the quick stop took %v", took)
	}
}
