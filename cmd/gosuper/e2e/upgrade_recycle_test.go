//go:build linux

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// A master that was upgraded recycles as the one before it would have: workers
// that were told their limit by that one, and those that come after them.
func TestUpgradeKeepsRecycling(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			const most, jitter = 400, 80
			m, _ := upgradable(t, fmt.Sprintf("max_requests = %d", most), fmt.Sprintf("max_requests_jitter = %d", jitter))
			inherited := m.workers()
			// So little that nobody reaches the limit before.
			r := m.load(load.Plan{Connections: 1, Mode: load.NewConnection, Pause: 20 * time.Millisecond})
			r.more(20)
			from := m.mark()
			m.upgrade()
			r.more(20)
			none(t, "during the upgrade", r.end(), 40)
			if n := len(m.all(0, "worker started", match{"reason": "max_requests"})); n > 0 {
				t.Fatalf("%d workers were recycled before the load began", n)
			}

			r = m.load(way.plan)
			for _, pid := range inherited {
				m.wait(t, from, "worker gone", match{"pid": pid, "reason": "max_requests"})
			}
			gone := m.count(t, 6, from, "worker gone", match{"reason": "max_requests"})
			none(t, "afterwards", r.end(), 4*most)
			for _, e := range gone {
				if n := e.num("requests"); n < most {
					t.Errorf("a worker was recycled after %d requests, want at least %d", n, most)
				}
				if limit := e.num("requests") - e.num("overshoot"); e.fields["overshoot"] != nil && (limit < most || limit > most+jitter) {
					t.Errorf("a worker had a limit of %d requests, want %d to %d", limit, most, most+jitter)
				}
			}
			if n := len(m.all(0, "worker crashed", nil)) + len(m.all(0, "killing worker", nil)); n > 0 {
				t.Errorf("%d workers crashed or were killed", n)
			}
		})
	}
}
