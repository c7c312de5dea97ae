//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A request has one name: on the board, in the access log, and for the program.
func TestProxyRequestNames(t *testing.T) {
	t.Parallel()
	line, socket := controlled(t)
	path := filepath.Join(t.TempDir(), "access.log")
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 1", line, "[log]", fmt.Sprintf("access_file = %q", path), `access_format = "json"`)
	var told []string
	for _, given := range []string{"seven", ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+m.addr()+"/headers", nil)
		if err != nil {
			t.Fatal(err)
		}
		if given != "" {
			req.Header.Set("X-Request-Id", given)
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]string
		err = json.NewDecoder(answer.Body).Decode(&got)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, got["x-request-id"])
	}
	if told[0] != "seven" || len(told[1]) < 16 {
		t.Errorf("the program is told %q", told)
	}
	var logged []string
	eventually(t, "both are in the access log", func() bool {
		logged = nil
		for line := range strings.Lines(read(t, path)) {
			var entry struct {
				RequestID string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatal(err)
			}
			logged = append(logged, entry.RequestID)
		}
		return len(logged) == 2
	})
	if !slices.Equal(logged, told) {
		t.Errorf("the access log has %q, the program was told %q", logged, told)
	}
	go m.get("/sleep")
	eventually(t, "the request in flight has a name on the board", func() bool {
		st, _ := asked(t, socket, true)
		return len(st.Requests) == 1 && len(st.Requests[0].RequestID) >= 16
	})
}

// Fronts take connections as evenly as workers do that serve by themselves.
func TestProxyEvenSpread(t *testing.T) {
	evenly(t, up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 4"), "/nap")
}

// The address space is the program's: a front reserves more than many a limit.
func TestProxyLimitAS(t *testing.T) {
	t.Parallel()
	const limit = "209715200"
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 1", "limits.as = "+limit)
	front := m.workers()[0]
	program := behind(t, front)
	if got := rlimits(t, program)["Max address space"]; got != limit+" "+limit {
		t.Errorf("the program's is %s", got)
	}
	if got, want := rlimits(t, front)["Max address space"], rlimits(t, m.pid())["Max address space"]; got != want {
		t.Errorf("the front's is %s, not %s", got, want)
	}
	if answer, _, err := m.get("/"); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", answer, err)
	}
	script := filepath.Join(open(t), "script")
	put(t, script, []byte("#!/no/such/interpreter\n"))
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	refused := start(t, launch{config: config(command(script), classProxy, "workers = 1", "limits.as = "+limit, "restart.startup_attempts = 1")})
	if code := refused.end(); code != 3 || !strings.Contains(refused.String(), "limits.as: no such file") {
		t.Errorf("exit status %d: %s", code, refused)
	}
}
