//go:build linux

package e2e

import (
	"strings"
	"testing"
)

// What a plain worker does not do is said once, as it was asked for.
func TestUnheededSettings(t *testing.T) {
	t.Parallel()
	const warning = "settings have no effect on a worker that does not speak the worker protocol: use its own, or see gosuper help words"
	m := start(t, launch{
		config: config(command(plain), "workers = 2", "request_timeout = 60", "startup_timeout = 5"), args: []string{"--max-requests", "100", "-t", "120"},
		env: []string{"GOSUPER_KEEPALIVE=5", "GOSUPER_MAX_WORKER_LIFETIME=1h"},
	})
	const settings = `"settings":["--max-requests","--timeout","request_timeout","GOSUPER_KEEPALIVE"]`
	if e := m.wait(t, 0, warning, nil); !strings.Contains(e.line, settings) {
		t.Errorf("it says %s, want %s", e.line, settings)
	}
	m.wait(t, 0, "ready", nil)
	m.reload()
	if n := len(m.all(0, warning, nil)); n > 2 { // once for each configuration
		t.Errorf("it says so %d times", n)
	}

	m = start(t, launch{config: config(command(uvicorn(t), "nothing:app", "--fd", "3"), "request_timeout = 60")})
	m.wait(t, 0, "worker started", nil)
	if n := len(m.all(0, warning, nil)); n != 1 {
		t.Errorf("of a server that is known it is said %d times before it starts, want once", n)
	}

	m = up(t, "request_timeout = 60", "keepalive = 5")
	if n := len(m.all(0, warning, nil)); n > 0 {
		t.Error("it says so of cooperating workers")
	}
}
