//go:build linux

package supervisor

import (
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
)

// held says who has which lease.
func held(st control.Status) (all []string) {
	for _, l := range st.Leases {
		all = append(all, fmt.Sprint(l, ": ", l.Holder()))
	}
	return all
}

// A lease is had from the start of a worker, and again by the one that replaces it.
func TestLeases(t *testing.T) {
	const toml = "workers = 2\nready = \"notify\"\n[resources]\ngpu = [\"0\", \"1\", \"2\"]\nport = [\"8000\", \"8001\", \"8002\", \"8003\"]\n"
	play(t, toml, silent, func(st *stage) {
		for id := 1; id <= 2; id++ {
			st.say(id, notify.Message{Ready: true})
		}
		got := st.status()
		st.expect("leases", held(got), []string{"gpu=0 port=8000: worker 1", "gpu=1 port=8001: worker 2", "gpu=2 port=8002: nobody"})
		if lease := got.Workers[1].Lease; lease["gpu"] != "1" || lease["port"] != "8001" {
			t.Errorf("worker 2 has %v", lease)
		}
		_, err := st.master.api().Scale(st.t.Context(), control.Scaling{By: new(2)})
		if refused, ok := err.(*control.Error); !ok || refused.Status != http.StatusConflict || refused.Message != "there are leases for 3 workers, not 4: list more in [resources] and reload" {
			t.Errorf("scaled too far: %v", err)
		}
		st.exit(1, 1)
		st.say(3, notify.Message{Ready: true})
		st.expect("leases", held(st.status()), []string{"gpu=0 port=8000: worker 3", "gpu=1 port=8001: worker 2", "gpu=2 port=8002: nobody"})
		for range 3 {
			st.kill(syscall.SIGTTIN)
		}
		if got := st.status(); got.WorkersTarget != 3 || !slices.Contains(held(got), "gpu=2 port=8002: worker 4") {
			t.Errorf("scaled to %d: %q", got.WorkersTarget, held(got))
		}
		st.kill(syscall.SIGTERM)
		for id := 2; id <= 4; id++ {
			st.exit(id, 0)
		}
		<-st.result
	})
}
