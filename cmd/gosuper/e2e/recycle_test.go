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
