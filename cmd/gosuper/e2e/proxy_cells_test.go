//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a program that knows nothing gets from its front, setting by setting.
func TestProxySettings(t *testing.T) {
	t.Parallel()
	const most = 500 * time.Millisecond
	access := filepath.Join(t.TempDir(), "access.log")
	status := func(t *testing.T, m *master, path string, want int) {
		t.Helper()
		if answer, _, err := m.get(path); err != nil || answer.StatusCode != want {
			t.Errorf("%s: %v, %v", path, answer, err)
		}
	}
	// broken reads a response that has begun and does not come to its end, which another
	// request beside it does.
	broken := func(t *testing.T, m *master, path string) {
		t.Helper()
		begin := time.Now()
		answer, err := http.Get("http://" + m.addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if line, err := bufio.NewReader(answer.Body).ReadString('\n'); err != nil || line != "0\n" {
			t.Errorf("it begins with %q, %v", line, err)
		}
		status(t, m, "/", http.StatusOK)
		if _, err := io.Copy(io.Discard, answer.Body); err == nil {
			t.Error("it looks complete")
		}
		if took := time.Since(begin); took < most || took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		eventually(t, "it is counted", func() bool { return m.samples()["gosuper_request_timeouts_total"] == 1 })
	}
	for _, tc := range []struct {
		name  string
		lines []string
		check func(t *testing.T, m *master)
	}{
		{"stream_timeout", []string{fmt.Sprintf("stream_timeout = %q", most)}, func(t *testing.T, m *master) { broken(t, m, "/stall") }},
		{"request_timeout", []string{fmt.Sprintf("request_timeout = %q", most)}, func(t *testing.T, m *master) { broken(t, m, "/stream") }},
		{"max_requests", []string{"max_requests = 5"}, func(t *testing.T, m *master) {
			for range 6 {
				status(t, m, "/", http.StatusOK)
			}
			m.wait(t, 0, "worker gone", match{"worker": 1, "reason": "max_requests"})
			m.stopped(match{"requests_lost": 0})
		}},
		{"worker_connections", []string{"workers = 2", "worker_connections = 1"}, func(t *testing.T, m *master) {
			var mu sync.Mutex
			by := map[string]int{}
			var running sync.WaitGroup
			for range 2 {
				running.Go(func() {
					if answer, _, err := m.get("/nap"); err == nil {
						mu.Lock()
						defer mu.Unlock()
						by[answer.Header.Get("X-Worker-Pid")]++
					}
				})
			}
			running.Wait()
			if len(by) != 2 {
				t.Errorf("answers by process: %v", by)
			}
		}},
		{"backlog_timeout", []string{"worker_connections = 1", fmt.Sprintf("backlog_timeout = %q", most)}, func(t *testing.T, m *master) {
			var running sync.WaitGroup
			running.Go(func() { status(t, m, "/nap", http.StatusOK) })
			m.inFlight(1)
			status(t, m, "/", http.StatusServiceUnavailable)
			running.Wait()
			status(t, m, "/", http.StatusOK)
		}},
		// More than any front takes: the program's memory is the worker's.
		{"max_worker_memory", []string{`max_worker_memory = "20MiB"`}, func(t *testing.T, m *master) {
			m.wait(t, 0, "worker gone", match{"worker": 1, "reason": "memory"})
			status(t, m, "/", http.StatusOK)
		}},
		{"max_worker_memory_hard", []string{`max_worker_memory_hard = "150MiB"`}, func(t *testing.T, m *master) {
			go m.get("/hoard")
			if said := m.wait(t, 0, "worker crashed", nil).str("status"); !strings.HasSuffix(said, "more than max_worker_memory_hard (killed by SIGKILL)") {
				t.Errorf("it ended with %q", said)
			}
		}},
		{"access log", []string{`timeout = "500ms"`, "[log]", fmt.Sprintf("access_file = %q", access), `access_format = "json"`}, func(t *testing.T, m *master) {
			status(t, m, "/headers?a=b", http.StatusOK)
			status(t, m, "/sleep", http.StatusGatewayTimeout)
			type line struct {
				Method, Target, Ended string
				Status                int
			}
			var got []line
			eventually(t, "both are in the access log", func() bool {
				got = nil
				for text := range strings.Lines(read(t, access)) {
					var one line
					if err := json.Unmarshal([]byte(text), &one); err != nil {
						t.Fatal(err)
					}
					got = append(got, one)
				}
				return len(got) == 2
			})
			if want := fmt.Sprint([]line{{"GET", "/headers?a=b", "ok", 200}, {"GET", "/sleep", "timeout", 504}}); fmt.Sprint(got) != want {
				t.Errorf("the access log has %v, not %s", got, want)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			lines := []string{proxied(t, "--port", "{port}"), classProxy, admin("127.0.0.1:0")}
			if !strings.Contains(strings.Join(tc.lines, "\n"), "workers = ") {
				lines = append(lines, "workers = 1")
			}
			tc.check(t, up(t, append(lines, tc.lines...)...))
		})
	}
}

// The program of a front is its worker's user, and may no more.
func TestProxyUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := up(t, command("/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"), classProxy, "workers = 1", `user = "65534"`, `chdir = "/usr"`)
	if answer, _, err := m.get("/"); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", answer, err)
	}
	front := m.workers()[0]
	for who, pid := range map[string]int{"front": front, "program": behind(t, front)} {
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, link := range links {
			if target, _ := os.Readlink(link); strings.Contains(target, "gosuper-fronts") {
				t.Errorf("the %s has the descriptor of the secret of all fronts", who)
			}
		}
		is := status(pid)
		for name, want := range map[string]string{"Uid": "65534\t65534\t65534\t65534", "CapEff": "0000000000000000", "NoNewPrivs": "1"} {
			if strings.TrimSpace(is[name]) != want {
				t.Errorf("%s of the %s is %q", name, who, is[name])
			}
		}
	}
}
