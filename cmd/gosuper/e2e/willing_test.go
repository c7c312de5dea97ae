//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"
)

// kinds are workers of each kind, which fail in the first worker when asked for /answer,
// and have themselves replaced when asked for /recycle. The variable WHO is the worker's id.
var kinds = []struct {
	name  string
	lines func(t *testing.T) []string
	blind bool // nothing is known of its requests
	plain bool // the program knows sd_notify(3), and no package of gosuper
}{
	{name: "Go", lines: func(*testing.T) []string { return []string{command(as("serve")...)} }},
	{name: "ASGI", lines: func(t *testing.T) []string { return failingPython(t, "app") }},
	{name: "WSGI", lines: func(t *testing.T) []string { return failingPython(t, "wsgi") }},
	{name: "preload", lines: func(t *testing.T) []string { return append(failingPython(t, "app"), "preload = true") }},
	{name: "Node", lines: func(t *testing.T) []string {
		return []string{command(need(t, "node"), "failing.js"), fmt.Sprintf("chdir = %q", nodeFolder(t, "failing.js"))}
	}},
	{name: "proxy", lines: func(t *testing.T) []string { return []string{uvicornFailing(t, "--port", "{port}"), classProxy} }, plain: true},
	{name: "plain", lines: func(t *testing.T) []string { return []string{uvicornFailing(t, "--fd", "3")} }, blind: true, plain: true},
}

func failingDir(t *testing.T) string {
	t.Helper()
	dir := absolute(t, "testdata/failing")
	return dir
}

// failingPython has an application of testdata/failing served by the Python package.
func failingPython(t *testing.T, name string) []string {
	t.Helper()
	source := absolute(t, pythonPackage+"/src")
	python := filepath.Join(pythonVenv(t), "bin", "python")
	return []string{command(python, "-m", "gosuper", "app:"+name, "--app-dir", failingDir(t), "--log-level", "critical"), fmt.Sprintf("env.PYTHONPATH = %q", source)}
}

// uvicornFailing has one served by uvicorn alone.
func uvicornFailing(t *testing.T, options ...string) string {
	t.Helper()
	return command(append([]string{filepath.Join(pythonVenv(t), "bin", "uvicorn"), "app:app", "--app-dir", failingDir(t), "--log-level", "critical"}, options...)...)
}

// A worker of any kind that fails while others do not is replaced.
func TestFailingWorkerOfEachKindIsReplaced(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		if kind.blind {
			continue
		}
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			line, path := controlled(t)
			m := up(t, append(kind.lines(t), line, "workers = 2", "max_failures = 20", `env.WHO = "{id}"`)...)
			load := m.enquire("/answer", 2)
			m.wait(t, 0, "worker fails while others do not, and is replaced", match{"worker": 1})
			m.wait(t, 0, "worker gone", match{"worker": 1, "reason": "max_failures"})
			load.end()
			if st, _ := asked(t, path, false); st.Counters.Restarts["max_failures"] != 1 {
				t.Errorf("restarts: %v", st.Counters.Restarts)
			}
			if all := incidentsOf(t, path); len(all) != 1 || all[0].Reason != "max_failures" {
				t.Errorf("the incidents are %+v", all)
			}
		})
	}
}

// A worker of any kind that wants to be replaced for a reason of its own is, and the
// reason is in the log, in the status and in the metrics.
func TestReasonsOfEachKind(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			line, path := controlled(t)
			m := up(t, append(kind.lines(t), line, "workers = 1", admin("127.0.0.1:0"), `env.WHO = "{id}"`, `restart.reset_after = "1h"`)...)
			m.wait(t, 0, "ready", nil)
			recycle := func(why string) {
				t.Helper()
				if r, _, err := m.get("/recycle?why=" + url.QueryEscape(why)); err != nil || r.StatusCode != 200 {
					t.Fatal(r, err)
				}
			}
			if kind.plain {
				recycle("model_is_stale")
			} else {
				recycle("Model is stale!") // of which the packages make what the master takes
			}
			m.wait(t, 0, "worker started", match{"worker": 2, "reason": "model_is_stale"})
			m.wait(t, 0, "worker gone", match{"worker": 1, "reason": "model_is_stale"})
			st, _ := asked(t, path, false)
			if c := st.Counters; c.Restarts["recycle"] != 1 || !maps.Equal(c.RecycleReasons, map[string]uint64{"model_is_stale": 1}) {
				t.Errorf("restarts %v, reasons %v", c.Restarts, c.RecycleReasons)
			}
			if n := m.samples()[`gosuper_incidents_total{reason="model_is_stale"}`]; n != 1 {
				t.Errorf("counted %v times", n)
			}
			// The next one has to wait.
			recycle("out_of_luck")
			m.wait(t, 0, "worker wants to be replaced so soon after another one of its slot that it has to wait: see restart.reset_after", match{"worker": 2, "reason": "out_of_luck"})
			if st, _ := asked(t, path, false); st.Workers[0].Recycle != "out_of_luck" {
				t.Errorf("the worker is %+v", st.Workers[0])
			}
		})
	}
}

// A worker of any kind keeps an idle connection for as long as it is told to, and none if
// it is told so.
func TestKeepaliveOfEachKind(t *testing.T) {
	t.Parallel()
	const kept = time.Second
	for _, kind := range kinds {
		if kind.blind {
			continue
		}
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			lines := append(kind.lines(t), "workers = 1", `env.WHO = "{id}"`)
			m := up(t, append(lines, fmt.Sprintf("keepalive = %q", kept))...)
			ask := func() (*http.Response, time.Duration) {
				t.Helper()
				c, err := net.Dial("tcp", m.addr())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(testTimeout))
				fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				r := bufio.NewReader(c)
				answer, err := http.ReadResponse(r, nil)
				if err == nil {
					_, err = io.Copy(io.Discard, answer.Body)
				}
				if err != nil {
					t.Fatal(err)
				}
				answered := time.Now()
				if _, err := r.ReadByte(); err != io.EOF {
					t.Errorf("the connection ends with %v", err)
				}
				return answer, time.Since(answered)
			}
			if answer, after := ask(); answer.Close || after < kept-kept/10 || after > late {
				t.Errorf("closed after %v, announced: %t", after, answer.Close)
			}
			m.rewrite(config(append(lines, `keepalive = "0s"`)...))
			m.reload()
			m.wait(t, 0, "worker gone", match{"worker": 1}) // which may have accepted until then
			if answer, _ := ask(); !answer.Close {
				t.Error("a connection is kept")
			}
		})
	}
}
