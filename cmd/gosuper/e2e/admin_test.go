//go:build linux

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// admin is the line that gives a master an admin listener.
func admin(address string) string { return fmt.Sprintf("admin.bind = %q", address) }

// adminAddr is the address of the admin listener that was opened last.
func (m *master) adminAddr() string {
	m.t.Helper()
	m.wait(m.t, 0, "admin listener", nil)
	all := m.all(0, "admin listener", nil)
	_, addr, _ := strings.Cut(all[len(all)-1].str("url"), "://")
	return addr
}

// fetch asks an admin listener; status 0: nobody answers there.
func fetch(t testing.TB, addr, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: testTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network(addr), addr)
		},
	}}
	answer, err := client.Get("http://localhost" + path)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

// samples are the values of a scrape by name and labels.
func (m *master) samples() map[string]float64 {
	m.t.Helper()
	status, text := fetch(m.t, m.adminAddr(), "/metrics")
	if status != http.StatusOK {
		m.t.Fatalf("/metrics: %d %s", status, text)
	}
	all := map[string]float64{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " "); found && name != "#" {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				m.t.Fatalf("a bad sample: %s", line)
			}
			all[name] = v
		}
	}
	return all
}

func TestProbes(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	m := start(t, launch{config: config("workers = 1", command(as("serve", "", gate)...), admin("127.0.0.1:0"))})
	m.wait(t, 0, "worker started", nil)
	expect := func(when, path string, want int, says string) {
		t.Helper()
		if status, body := fetch(t, m.adminAddr(), path); status != want || body != says+"\n" {
			t.Errorf("%s %s is %d %q, want %d %q", when, path, status, body, want, says)
		}
	}
	expect("before a worker is ready", "/health", 200, "ok")
	expect("before a worker is ready", "/health/ready", 503, "no worker is ready")
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m.wait(t, 0, "ready", nil)
	expect("with a worker", "/health/ready", 200, "ready")
	busy := make(chan error, 1)
	from := m.mark()
	go func() {
		_, body, err := m.get("/sleep?d=2s")
		if err == nil && body != "slept\n" {
			err = fmt.Errorf("answered %q", body)
		}
		busy <- err
	}()
	m.inFlight(1)
	m.signal(syscall.SIGTERM)
	m.wait(t, from, "worker draining", nil)
	expect("stopping", "/health", 200, "ok")
	expect("stopping", "/health/ready", 503, "the master is stopping")
	if err := <-busy; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if status, _ := fetch(t, m.adminAddr(), "/health"); status != 0 {
		t.Errorf("a master that has ended answers %d", status)
	}
}

// inFlight waits until so many requests are in flight.
func (m *master) inFlight(n float64) {
	m.t.Helper()
	begin := time.Now()
	for m.samples()["gosuper_requests_in_flight"] != n {
		if time.Since(begin) > testTimeout {
			m.t.Fatalf("there are never %v requests in flight", n)
		}
	}
}

// TestMetricsOnlyGrow scrapes throughout whatever happens to workers: no counter
// ever falls, and at the end all requests were counted.
func TestMetricsOnlyGrow(t *testing.T) {
	t.Parallel()
	m := up(t, "max_requests = 500", admin("127.0.0.1:0"))
	scraped, stop := make(chan int), make(chan struct{})
	go func() {
		last, n := m.samples(), 0
		defer func() { scraped <- n }()
		for {
			now := m.samples()
			for name, value := range last {
				family, _, _ := strings.Cut(name, "{")
				gauge := slices.Contains([]string{
					"gosuper_workers", "gosuper_workers_target", "gosuper_requests_in_flight", "gosuper_backlog", "gosuper_worker_memory_bytes",
				}, family)
				if after, there := now[name]; !gauge && (!there || after < value) {
					t.Errorf("%s was %v and is %v", name, value, after)
				}
			}
			last = now
			n++
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	const connections = 4
	running := m.load(load.Plan{Connections: connections, Mode: load.KeepAlive})
	running.more(tenth(5000))
	m.reload()
	running.more(tenth(5000))
	// It may just be on its way out, and gone by now.
	syscall.Kill(m.workers()[0], syscall.SIGKILL)
	m.signal(syscall.SIGTTIN)
	m.wait(t, 0, "scaled", nil)
	running.more(tenth(5000))
	m.reload()
	result := running.end()
	close(stop)
	t.Logf("%d scrapes, %v", <-scraped, result)

	m.inFlight(0)
	ready := len(m.all(0, "worker ready", nil))
	s := m.samples()
	if n := s["gosuper_worker_spawn_seconds_count"]; n < float64(ready) || n > float64(len(m.all(0, "worker ready", nil))) {
		t.Errorf("%v workers took their time, want %d", n, ready)
	}
	for name, want := range map[string]float64{
		`gosuper_reloads_total{result="ok"}`:                                                        2,
		`gosuper_worker_restarts_total{reason="scale"}`:                                             1,
		`gosuper_workers_target`:                                                                    3,
		`gosuper_request_duration_seconds_bucket{le="+Inf"}`:                                        s["gosuper_request_duration_seconds_count"],
		`gosuper_request_duration_seconds_count`:                                                    s[`gosuper_requests_total{code="2xx"}`],
		fmt.Sprintf("gosuper_build_info{version=%q}", m.wait(t, 0, "starting", nil).str("version")): 1,
	} {
		if s[name] != want {
			t.Errorf("%s is %v, want %v", name, s[name], want)
		}
	}
	// A worker that was killed may have answered on each connection what it had no time to
	// count; what it did count is read from its board after its death.
	if got := s[`gosuper_requests_total{code="2xx"}`]; got < float64(result.Complete-connections) || got > float64(result.Complete+result.Losses()) {
		t.Errorf("%v requests counted, and %d seen, %d lost", got, result.Complete, result.Losses())
	}
	if n := s[`gosuper_worker_restarts_total{reason="max_requests"}`]; n == 0 && tenth(10) == 10 {
		t.Error("no worker was recycled")
	}
	mean := s["gosuper_request_duration_seconds_sum"] / s["gosuper_request_duration_seconds_count"]
	if !(mean > 1e-6 && mean < 1) {
		t.Errorf("a request took %v s on average", mean)
	}
}

// TestAdminMoves: the listener follows the configuration, and comes back with it.
func TestAdminMoves(t *testing.T) {
	t.Parallel()
	curse := filepath.Join(t.TempDir(), "curse")
	path := filepath.Join(t.TempDir(), "admin.sock")
	words := command(as("serve", curse)...)
	m := up(t, words, admin("127.0.0.1:0"))
	first := m.adminAddr()
	answers := func(addr string, want bool) {
		t.Helper()
		begin := time.Now()
		for {
			status, body := fetch(t, addr, "/health/ready")
			if (status == 200) == want {
				return
			}
			if time.Since(begin) > testTimeout {
				t.Fatalf("%s: %d %s", addr, status, body)
			}
		}
	}
	answers(first, true)

	m.rewrite(config(words, admin("unix:"+path)))
	m.reload()
	answers(path, true)
	answers(first, false)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	m.rewrite(config(words, admin(taken.Addr().String())))
	from := m.mark()
	m.signal(syscall.SIGHUP)
	m.wait(t, from, "reload refused, nothing was changed", nil)
	answers(path, true)

	// The first worker of this one boots, so it is accepted; the second does not.
	if err := os.WriteFile(curse, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.rewrite(config(words, admin("localhost:0"), "[restart]", `backoff_min = "10ms"`))
	from = m.mark()
	m.signal(syscall.SIGHUP)
	opened := m.wait(t, from, "admin listener", nil)
	m.wait(t, from, "reload rolled back", nil)
	if err := os.Remove(curse); err != nil {
		t.Fatal(err)
	}
	_, given, _ := strings.Cut(opened.str("url"), "://")
	answers(path, true)
	answers(given, false)

	m.rewrite(config(words))
	m.reload()
	answers(path, false)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the path of the socket is still there: %v", err)
	}
}

// TestPageActs: what the buttons of the page send reaches the workers.
func TestPageActs(t *testing.T) {
	t.Parallel()
	m := up(t, `admin = { bind = "127.0.0.1:0", actions = true }`)
	addr := m.adminAddr()
	for _, action := range []struct{ path, body, happens string }{
		{"recycle", `{"workers": [1]}`, "worker draining"},
		{"scale", `{"by": 1}`, "scaled"},
		{"reload", `{}`, "reload done"},
	} {
		from := m.mark()
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+addr+"/v1/"+action.path, strings.NewReader(action.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Gosuper-Action", "1")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode/100 != 2 {
			t.Errorf("%s: %s", action.path, answer.Status)
		}
		m.wait(t, from, action.happens, nil)
	}
	if status, text := fetch(t, addr, "/"); status != 200 || !strings.HasPrefix(text, "<!doctype html>") {
		t.Errorf("the page: %d", status)
	}
	if status, text := fetch(t, addr, "/feed"); status != 200 || !strings.Contains(text, `"actions":true`) {
		t.Errorf("the feed: %d %s", status, text)
	}
}

// TestScrapeIsQuick: 64 workers are no reason to wait.
func TestScrapeIsQuick(t *testing.T) {
	m := up(t, "workers = 64", command(plain), `ready = "1s"`, admin("127.0.0.1:0"))
	m.samples()
	var took []time.Duration
	for range 21 {
		begin := time.Now()
		m.samples()
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("a scrape of 64 workers takes %v, at best %v, at worst %v", took[10], took[0], took[20])
	if took[0] > 20*time.Millisecond && !raceEnabled { // the others may have waited for a processor
		t.Errorf("a scrape of 64 workers takes %v", took[0])
	}
}
