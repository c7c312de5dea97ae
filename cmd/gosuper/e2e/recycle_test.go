//go:build linux

package e2e

import "testing"

// A worker that wants to be replaced says why, is replaced first, and its reason is in
// the log.
func TestRecycleByTheWorker(t *testing.T) {
	t.Parallel()
	m := up(t, "workers = 1")
	m.wait(t, 0, "ready", nil)
	if _, _, err := m.get("/recycle?why=stale+model"); err != nil {
		t.Fatal(err)
	}
	m.wait(t, 0, "worker ready", match{"worker": 2})
	m.wait(t, 0, "worker gone", match{"worker": 1, "reason": "stale_model"})
	if len(m.all(0, "worker draining", match{"worker": 2})) > 0 {
		t.Error("its replacement drains as well")
	}
}

// A worker that is to be replaced while others take their time to drain waits for them, since
// no more may live at a time, and that is said once.
func TestRecyclingWaitsForDrains(t *testing.T) {
	t.Parallel()
	m := up(t, "workers = 1", "surge = 1")
	drains := m.fly("/sleep?d=30s")
	from := m.mark()
	m.reload()
	if _, _, err := m.get("/recycle?why=stale+model"); err != nil {
		t.Fatal(err)
	}
	waits := m.wait(t, from, "a recycling waits: as many workers drain as there may be beyond the others", nil)
	if waits.num("worker") != 2 || waits.num("draining") != 1 || waits.fields["reason"] != "stale_model" {
		t.Errorf("it is said that %s", waits.line)
	}
	if started := m.all(from, "worker started", match{"worker": 3}); len(started) > 0 {
		t.Error("its replacement did not wait")
	}
	if _, err := drains.land(); err != nil {
		t.Error(err)
	}
	m.wait(t, from, "worker gone", match{"worker": 2, "reason": "stale_model"})
	if n := len(m.all(from, waits.msg, nil)); n != 1 {
		t.Errorf("it is said %d times", n)
	}
}
