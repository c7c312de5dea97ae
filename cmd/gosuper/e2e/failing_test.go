//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What /answer of a worker does: with E2E_OUTAGE it fails while that file is there, and
// with E2E_FAILING from its 200th request on, if it is the first to make that file. The
// worker whose WHO is 1 fails always.
var answers struct {
	sync.Mutex
	n     int
	fails bool
}

func answer(w http.ResponseWriter, _ *http.Request) {
	answers.Lock()
	defer answers.Unlock()
	answers.n++
	if file := os.Getenv("E2E_FAILING"); file != "" && answers.n == 200 {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o600)
		answers.fails = err == nil
		f.Close()
	}
	if _, err := os.Stat(os.Getenv("E2E_OUTAGE")); answers.fails || err == nil || os.Getenv("WHO") == "1" {
		http.Error(w, "CUDA error", http.StatusInternalServerError)
	}
}

// An enquirer asks for one path again and again, on new connections, up to 200 times a second on each.
type enquirer struct {
	stop     atomic.Bool
	asking   sync.WaitGroup
	mu       sync.Mutex // guards what follows
	good     map[string]int
	failures map[string]int // by pid
}

func (m *master) enquire(path string, n int) *enquirer {
	a := &enquirer{good: map[string]int{}, failures: map[string]int{}}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range n {
		a.asking.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for ; !a.stop.Load(); <-pace.C {
				r, err := client.Get("http://" + m.addr() + path)
				if err != nil {
					m.t.Error(err)
					return
				}
				io.Copy(io.Discard, r.Body)
				r.Body.Close()
				a.mu.Lock()
				if pid := r.Header.Get("X-Worker-Pid"); r.StatusCode == http.StatusOK {
					a.good[pid]++
				} else {
					a.failures[pid]++
				}
				a.mu.Unlock()
			}
		})
	}
	m.t.Cleanup(a.end)
	return a
}

func (a *enquirer) end() {
	a.stop.Store(true)
	a.asking.Wait()
}

// One of four workers that fails is replaced after max_failures, whether its health is
// asked for or not, and the others have not failed once.
func TestFailingWorkerIsReplaced(t *testing.T) {
	const most, found = 20, "worker fails while others do not, and is replaced"
	line, path := controlled(t)
	m := up(t, line, "workers = 4", fmt.Sprintf("max_failures = %d", most), fmt.Sprintf("env = { E2E_FAILING = %q }", filepath.Join(t.TempDir(), "failing")))
	probes, client := m.enquire("/health", 1), fresh()
	failures, last := map[string]int{}, ""
	for failures[last] < most {
		r, err := client.Get("http://" + m.addr() + "/answer")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			continue
		}
		last = r.Header.Get("X-Worker-Pid")
		failures[last]++
		if asked(t, path, false); failures[last] < most && len(m.all(0, found, nil)) > 0 {
			t.Fatalf("it was found after %d failures", failures[last])
		}
	}
	e := m.wait(t, 0, found, match{"pid": last})
	if n := e.num("failures"); n != most {
		t.Errorf("it was found after %d failures in a row, want %d", n, most)
	}
	load := m.enquire("/answer", 4)
	gone := m.wait(t, 0, "worker gone", match{"pid": e.num("pid"), "reason": "max_failures"})
	probes.end()
	load.end()
	t.Logf("gone %v after it was found, and after %d failures more; the others answered %d well", gone.at.Sub(e.at), load.failures[last], len(load.good))
	if delete(load.failures, last); len(failures) != 1 || len(load.failures) > 0 {
		t.Errorf("failures by process: %v, and then of others %v", failures, load.failures)
	}
	if all := incidentsOf(t, path); len(all) != 1 || all[0].Reason != "max_failures" {
		t.Errorf("the incidents are %+v", all)
	}
	if st, _ := asked(t, path, false); st.Counters.Restarts["max_failures"] != 1 {
		t.Errorf("restarts: %v", st.Counters.Restarts)
	}
}

// What a program answers behind a front is the answer of that worker.
func TestFailingProxyIsReplaced(t *testing.T) {
	t.Parallel()
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "max_failures = 20", `env = { WHO = "{id}" }`)
	failing := behind(t, m.wait(t, 0, "worker ready", match{"worker": 1}).num("pid"))
	load := m.enquire("/answer", 4)
	m.wait(t, 0, "worker fails while others do not, and is replaced", match{"worker": 1})
	m.wait(t, 0, "worker gone", match{"worker": 1, "reason": "max_failures"})
	load.end()
	if n := load.failures[strconv.Itoa(failing)]; n < 20 || len(load.failures) != 1 {
		t.Errorf("failures by process: %v, and %d should fail", load.failures, failing)
	}
	m.stopped(match{"requests_lost": 0})
}

// While all workers fail nobody is replaced, also if their health is good.
func TestOutageRestartsNobody(t *testing.T) {
	line, path := controlled(t)
	outage := filepath.Join(t.TempDir(), "outage")
	m := up(t, line, "workers = 4", "max_failures = 5", fmt.Sprintf("env = { E2E_OUTAGE = %q }", outage), "[restart]", `backoff_max = "1s"`)
	probes, load := m.enquire("/health", 1), m.enquire("/answer", 4)
	for i := range 4 {
		m.wait(t, 0, "worker ready", match{"slot": i})
	}
	if err := os.WriteFile(outage, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.wait(t, 0, "workers fail, and none is replaced for max_failures: no other answers well", nil)
	<-time.After(tenth(30 * time.Second)) // many times backoff_max
	probes.end()
	load.end()
	if st, _ := asked(t, path, false); st.Counters.Restarts["max_failures"] > 0 {
		t.Errorf("restarts: %v", st.Counters.Restarts)
	}
	t.Logf("failures by process: %v", load.failures)
	if n := len(m.all(0, "workers fail, and none is replaced for max_failures: no other answers well", nil)); n != 1 || len(load.failures) != 4 {
		t.Errorf("it was said %d times, and %d workers failed", n, len(load.failures))
	}
}
