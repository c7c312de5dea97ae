//go:build linux

package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// What is too much for all workers waits in the queue, and is served in its turn.
func TestWorkerConnections(t *testing.T) {
	t.Parallel()
	m := up(t, "worker_connections = 2")
	replies := take(t, 8, send(m.addr(), "/nap?d=1s", 8))
	var took []time.Duration
	by := map[string]int{}
	for _, r := range replies {
		if r.status != 200 {
			t.Errorf("%v", r)
		}
		took = append(took, r.took)
		by[r.header.Get("X-Worker-Pid")]++
	}
	slices.Sort(took)
	t.Logf("answers after %v; by worker process %v", took, by)
	// Only the machine can make them later; no more than four at a time is sure.
	if took[0] < time.Second || took[4] < 2*time.Second-100*time.Millisecond || median(took) > 10*time.Second {
		t.Errorf("answers after %v, want four after 1s and four after 2s", took)
	}
	if len(by) != 2 {
		t.Errorf("answers by worker process: %v", by)
	}
}

// With a limit on the time in the queue, those who waited longer are told so, and
// those who come later are served.
func TestBacklogTimeout(t *testing.T) {
	t.Parallel()
	const most = 500 * time.Millisecond
	m := up(t, "workers = 1", "worker_connections = 1", fmt.Sprintf("backlog_timeout = %q", most))
	busy, _ := streams(t, m.addr(), "/tokens?n=20&d=100ms", 1)
	waiting := take(t, 3, send(m.addr(), "/", 3))
	if r := take(t, 1, busy)[0]; !r.whole() {
		t.Errorf("the one who was first: %v", r)
	}
	for _, r := range waiting {
		t.Logf("in the queue: %v", r)
		if r.status != 503 || r.header.Get("Retry-After") == "" || r.took < most {
			t.Errorf("one who waited too long: %v", r)
		}
	}
	if r := once(m.addr(), "/", nil); r.status != 200 {
		t.Errorf("one who came later: %v", r)
	}
}
