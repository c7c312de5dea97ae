//go:build linux

package e2e

import (
	"fmt"
	"maps"
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
	if took[0] < time.Second || took[4] < 2*time.Second-early || median(took) > 10*time.Second {
		t.Errorf("answers after %v, want four after 1s and four after 2s", took)
	}
	if len(by) != 2 {
		t.Errorf("answers by worker process: %v", by)
	}
}

// Requests that last longer than all of them take to arrive are spread evenly.
func TestEvenSpread(t *testing.T) { evenly(t, up(t, "workers = 4"), "/nap?d=1s") }

// evenly sends 40 requests to 4 workers that last for a second each.
func evenly(t *testing.T, m *master, path string) {
	t.Helper()
	var spreads []int
	for range 5 {
		var running []<-chan reply
		tick := time.NewTicker(10 * time.Millisecond)
		for range 40 {
			running = append(running, send(m.addr(), path, 1))
			<-tick.C
		}
		tick.Stop()
		by := map[string]int{}
		for _, r := range running {
			by[take(t, 1, r)[0].header.Get("X-Worker-Pid")]++
		}
		counts := slices.Sorted(maps.Values(by))
		t.Logf("%v", counts)
		spreads = append(spreads, counts[len(counts)-1]-counts[0]+40*(4-len(counts)))
	}
	slices.Sort(spreads)
	// Not the worst: on a busy machine a worker may get no processor for all of a burst.
	if median := spreads[len(spreads)/2]; median > 2 {
		t.Errorf("spreads %v", spreads)
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
