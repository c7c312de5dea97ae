//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pod of the example: its probes are answered, and on SIGTERM it is no longer
// ready while it still serves, until its delay is over.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	_, indented, ok := strings.Cut(read(t, examples+"/kubernetes/configmap.yaml"), "  supervisor.toml: |\n")
	if !ok {
		t.Fatal("there is no supervisor.toml in the ConfigMap")
	}
	var file strings.Builder
	for line := range strings.Lines(indented) {
		file.WriteString(strings.TrimPrefix(line, "    "))
	}
	text := replace(t, file.String(), `["agent-server"]`, fmt.Sprintf("[%q]", agent))
	text = replace(t, text, `":8000"`, `"127.0.0.1:0"`)
	text = replace(t, text, `":9090"`, `"127.0.0.1:0"`)
	text = replace(t, text, `delay = "5s"`, `delay = "2s"`)
	m := start(t, launch{config: text})
	m.wait(t, 0, "ready", nil)
	probes := m.adminAddr()
	for _, path := range []string{"/health", "/health/ready", "/metrics"} {
		status, body := fetch(t, probes, path)
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	begin := time.Now()
	m.signal(syscall.SIGTERM)
	eventually(t, "readiness fails", func() bool {
		status, _ := fetch(t, probes, "/health/ready")
		return status == http.StatusServiceUnavailable
	})
	if answer, _, err := m.get("/health"); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("not ready, and a client gets %v %v", answer, err)
	}
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if took := time.Since(begin); took < 2*time.Second {
		t.Errorf("it stopped after %v, before the delay was over", took)
	}
}
