//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// ways are the three ways in which clients use connections. Each loses requests
// by a mistake of its own: in accepting, in draining connections that are busy,
// and in closing those that are idle.
var ways = []struct {
	name  string
	plan  load.Plan
	least int
}{
	{"new connections", load.Plan{Connections: 8, Mode: load.NewConnection}, 20_000},
	{"keep-alive flat out", load.Plan{Connections: 8, Mode: load.KeepAlive, Method: http.MethodPost, Body: `{"prompt":"hello"}`}, 20_000},
	{"keep-alive with pauses", load.Plan{Connections: 128, Mode: load.KeepAlive, Method: http.MethodPost, Body: `{"prompt":"hello"}`, Pause: 150 * time.Millisecond}, 5_000},
}

// under does something eight times during the time of load, for each of the ways,
// and goes on until there were enough requests.
func under(t *testing.T, m *master, span time.Duration, perConnection int, do func(*running)) {
	for _, way := range ways {
		if !t.Run(way.name, func(t *testing.T) {
			plan := way.plan
			plan.PerConnection = perConnection
			begin := time.Now()
			r := m.load(plan)
			for i := range 8 {
				// Spread over the time of the load.
				<-time.After(time.Until(begin.Add(time.Duration(i) * tenth(span) / 8)))
				do(r)
			}
			<-time.After(time.Until(begin.Add(tenth(span))))
			r.atLeast(tenth(way.least))
			none(t, way.name, r.end(), tenth(way.least))
		}) {
			return
		}
	}
}

// reloadOnce reloads under a little load of all the ways at once.
func reloadOnce(t *testing.T, m *master) {
	t.Helper()
	before := m.workers()
	var loads []*running
	for _, way := range ways {
		loads = append(loads, m.load(load.Plan{Connections: 4, Mode: way.plan.Mode, Method: way.plan.Method, Body: way.plan.Body, Pause: max(way.plan.Pause, 5*time.Millisecond)}))
	}
	m.reload()
	for i, r := range loads {
		r.more(20)
		none(t, ways[i].name, r.end(), 20)
	}
	for slot, pid := range m.workers() {
		if before[slot] == pid {
			t.Errorf("slot %d was not reloaded", slot)
		}
	}
}

func TestReloadsLoseNothing(t *testing.T) {
	m := up(t)
	var before map[int]int
	under(t, m, 6*time.Second, 0, func(*running) {
		before = m.workers()
		m.reload()
		for slot, pid := range m.workers() {
			if pid == before[slot] {
				t.Errorf("slot %d still has worker process %d after the reload", slot, pid)
			}
		}
	})
}

// The connections are used for some requests only, so that workers that come get
// their share and have something to lose when they go.
func TestScalingLosesNothing(t *testing.T) {
	m := up(t)
	under(t, m, 6*time.Second, 5, func(r *running) {
		from := m.mark()
		m.signal(syscall.SIGTTIN)
		m.wait(t, from, "scaled", match{"workers": 3})
		pid := m.wait(t, from, "worker ready", match{"slot": 2}).num("pid")
		r.answeredBy(pid)
		m.signal(syscall.SIGTTOU)
		m.wait(t, from, "scaled", match{"workers": 2})
		m.wait(t, from, "worker gone", match{"slot": 2, "reason": "scale"})
	})
}

// Workers that are recycled serve what they should and not much more.
func TestRecyclingLosesNothing(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			most, jitter := tenth(500), tenth(100)
			m := up(t, fmt.Sprintf("max_requests = %d", most), fmt.Sprintf("max_requests_jitter = %d", jitter))
			r := m.load(way.plan)
			<-time.After(tenth(4 * time.Second))
			r.atLeast(tenth(way.least))
			m.count(t, 8, 0, "worker gone", match{"reason": "max_requests"})
			none(t, way.name, r.end(), tenth(way.least))

			var served, overshoot []int
			for _, e := range m.all(0, "worker gone", match{"reason": "max_requests"}) {
				n := e.num("requests")
				served = append(served, n)
				if over, ok := e.fields["overshoot"]; ok {
					overshoot = append(overshoot, e.num("overshoot"))
					if n-e.num("overshoot") < most || n-e.num("overshoot") > most+jitter {
						t.Errorf("%d requests with an overshoot of %v: not a limit of %d to %d", n, over, most, most+jitter)
					}
				}
				if n < most {
					t.Errorf("a worker was recycled after %d requests", n)
				}
			}
			slices.Sort(served)
			slices.Sort(overshoot)
			t.Logf("%d workers recycled; requests of each %d..%d, median %d; overshoot in %d of them, median %d", len(served),
				served[0], served[len(served)-1], median(served), len(overshoot), median(overshoot))
		})
	}
}

// With instant boots and little load a worker serves what it should plus what was
// in flight.
func TestRecyclingIsExact(t *testing.T) {
	t.Parallel()
	const most, jitter = 20, 5
	m := up(t, fmt.Sprintf("max_requests = %d", most), fmt.Sprintf("max_requests_jitter = %d", jitter), "workers = 1")
	r := m.load(load.Plan{Connections: 1, Mode: load.KeepAlive, Pause: 20 * time.Millisecond})
	gone := m.count(t, 3, 0, "worker gone", match{"reason": "max_requests"})
	none(t, "load", r.end(), 3*most)
	for _, e := range gone {
		t.Logf("requests %d, overshoot %v", e.num("requests"), e.fields["overshoot"])
		if n := e.num("requests"); n < most {
			t.Errorf("recycled after %d requests, want %d to %d", n, most, most+jitter)
		}
	}
}

func median[T any](sorted []T) (m T) {
	if len(sorted) > 0 {
		m = sorted[len(sorted)/2]
	}
	return m
}

func TestUnixSocketReloads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	m := up(t, fmt.Sprintf("bind = [%q]", "unix:"+path))
	for _, way := range ways[:2] {
		r := m.load(way.plan)
		for range tenth(40) {
			m.reload()
		}
		none(t, way.name, r.end(), tenth(2000))
	}
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if _, err := net.Dial("unix", path); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("the path is left: %v", err)
	}
}

// Streams that are under way when their worker is told to drain come to an end
// that their client understands.
func TestStreamsEndPolitely(t *testing.T) {
	t.Parallel()
	m := up(t)
	const streams = 20
	ends := make(chan string, streams)
	for range streams {
		started := make(chan struct{})
		go func() {
			ends <- follow(m.addr(), started)
		}()
		<-started
	}
	m.reload()
	for range streams {
		if end := <-ends; end != "data: Server shutting down" {
			t.Errorf("a stream ended with %q", end)
		}
	}
}

// follow reads a stream to its end and returns its last line, or what went wrong.
func follow(addr string, started chan<- struct{}) string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		close(started)
		return err.Error()
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /stream?d=10ms HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	close(started)
	if err != nil {
		return err.Error()
	}
	last := ""
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if line := lines.Text(); line != "" {
			last = line
		}
	}
	if err := lines.Err(); err != nil {
		return err.Error()
	}
	return last
}

// What TTIN and TTOU did survives a reload, unless the configured number changed.
func TestScaleSurvivesReload(t *testing.T) {
	t.Parallel()
	m := up(t)
	m.signal(syscall.SIGTTIN)
	m.wait(t, 0, "worker ready", match{"slot": 2})
	m.reload()
	if n := len(m.workers()); n != 3 {
		t.Errorf("%d workers after TTIN and a reload, want 3", n)
	}
	m.rewrite(config("workers = 1"))
	m.reload()
	from := m.mark()
	for range 3 {
		m.signal(syscall.SIGTTOU)
		m.wait(t, from, "signal", match{"signal": "SIGTTOU"})
		from = m.mark()
	}
	if n := len(m.workers()); n != 1 {
		t.Errorf("%d workers, want 1", n)
	}
}
