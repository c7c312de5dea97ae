//go:build linux

package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// testTimeout is how long a test waits for what must happen.
const testTimeout = 30 * time.Second

// serve starts an endpoint on a free port and returns its address.
func serve(t *testing.T, source Source) (*Endpoint, string) {
	t.Helper()
	return serveOn(t, source, "127.0.0.1:0", See)
}

func serveOn(t *testing.T, source Source, address string, rights Rights) (*Endpoint, string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	e := New(source, log.New(io.Discard, "", 0)).Serve(l, rights)
	t.Cleanup(func() { e.Close() })
	return e, l.Addr().String()
}

// get asks on a connection of its own.
func get(t *testing.T, url string) (status int, header http.Header, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testTimeout}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, r.Header, string(text)
}

func TestProbes(t *testing.T) {
	tests := []struct {
		name          string
		master        *master
		health, ready int
		says          string // of /health/ready
	}{
		{"ready", &master{health: control.Health{Ready: true, ReadyWorkers: 1}}, 200, 200, "ready\n"},
		{"not ready", &master{}, 200, 503, "no worker is ready\n"},
		{"stopping", &master{health: control.Health{ReadyWorkers: 1}}, 200, 503, "the master is stopping\n"},
		{"ended", &master{err: errors.New("the master has ended")}, 503, 503, "the master has ended\n"},
		{"hanging", &master{err: fmt.Errorf("asked: %w", context.DeadlineExceeded)}, 503, 503, "the master does not answer\n"},
	}
	for _, test := range tests {
		_, address := serve(t, test.master)
		health, _, _ := get(t, "http://"+address+"/health")
		ready, header, says := get(t, "http://"+address+"/health/ready")
		if health != test.health || ready != test.ready || says != test.says {
			t.Errorf("%s: /health %d, /health/ready %d %q", test.name, health, ready, says)
		}
		if header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be stored: %v", test.name, header)
		}
	}
}

// TestMethods: nothing but reading is possible.
func TestMethods(t *testing.T) {
	_, address := serve(t, &master{})
	for _, path := range []string{"/health", "/health/ready", "/metrics"} {
		r, err := http.Post("http://"+address+path, "text/plain", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %s", path, r.Status)
		}
	}
	if status, _, _ := get(t, "http://"+address+"/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("another path: %d", status)
	}
}

// figures are different in every place.
var figures = Metrics{
	Status: control.Status{
		Version: "1.2.3", WorkersTarget: 4, SparesTarget: 2,
		Leases:  []control.Lease{{Worker: new(1)}, {Worker: new(2)}, {Worker: new(3), Unkillable: true}, {}},
		Loaders: []control.Loader{{Generation: 1, MemoryBytes: 70}, {Generation: 2, MemoryBytes: 80}, {Generation: 3}},
		Workers: []control.Worker{
			{Slot: 0, State: "ready", Cooperating: true, InFlight: new(uint64(2)), MemoryBytes: 100},
			{Slot: 1, State: "ready", Cooperating: true, InFlight: new(uint64(3)), MemoryBytes: 200},
			{Slot: 1, State: "draining", Cooperating: true, InFlight: new(uint64(1)), MemoryBytes: 50},
			{Slot: 2, State: "starting"},
			{Slot: -1, State: "spare", MemoryBytes: 90},
		},
		Counters: control.Counters{
			Requests: new(uint64(46)), Timeouts: new(uint64(5)), RequestsLost: new(uint64(15)), InnocentsLost: new(uint64(16)),
			RequestsUnslotted: new(uint64(17)), Connections: new(uint64(18)), AccessLinesDropped: new(uint64(19)), Restarts: map[control.Reason]uint64{control.Crash: 6, control.ByReload: 7},
			LoaderRestarts: map[control.Reason]uint64{control.Startup: 20},
		},
	},
	Codes:     &[5]uint64{0, 10, 11, 12, 13},
	Durations: &Histogram{Bounds: []float64{0.001, 0.25}, Counts: []uint64{3, 2, 1}, Sum: 4.5},
	Spawns:    &Histogram{Bounds: []float64{1}, Counts: []uint64{2, 0}, Sum: 0.75},
	Reloads:   map[string]uint64{"ok": 8, "refused": 9},
	Incidents: map[string]uint64{"crash": 21, "cuda_error": 22},
	Backlog:   14,
}

func TestMetrics(t *testing.T) {
	_, address := serve(t, &master{metrics: figures})
	status, header, text := get(t, "http://"+address+"/metrics")
	if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("%d %v", status, header)
	}
	var samples []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			samples = append(samples, strings.TrimSuffix(line, "\n"))
		}
	}
	want := []string{
		`gosuper_access_lines_dropped_total 19`,
		`gosuper_backlog 14`,
		`gosuper_build_info{version="1.2.3"} 1`,
		`gosuper_connections_total 18`,
		`gosuper_incidents_total{reason="crash"} 21`, `gosuper_incidents_total{reason="cuda_error"} 22`, `gosuper_incidents_total{reason="max_failures"} 0`,
		`gosuper_incidents_total{reason="memory"} 0`, `gosuper_incidents_total{reason="startup"} 0`, `gosuper_incidents_total{reason="timeout"} 0`, `gosuper_incidents_total{reason="watchdog"} 0`,
		`gosuper_innocents_lost_total 16`,
		`gosuper_leases{state="free"} 1`,
		`gosuper_leases{state="held"} 2`,
		`gosuper_leases{state="unkillable"} 1`,
		`gosuper_loader_memory_bytes{generation="1"} 70`,
		`gosuper_loader_memory_bytes{generation="2"} 80`,
		`gosuper_loader_restarts_total{reason="crash"} 0`,
		`gosuper_loader_restarts_total{reason="reload"} 0`,
		`gosuper_loader_restarts_total{reason="startup"} 20`,
		`gosuper_loader_restarts_total{reason="timeout"} 0`,
		`gosuper_reloads_total{result="ok"} 8`,
		`gosuper_reloads_total{result="refused"} 9`,
		`gosuper_reloads_total{result="rolled_back"} 0`,
		`gosuper_reloads_total{result="superseded"} 0`,
		`gosuper_request_duration_seconds_bucket{le="0.001"} 3`,
		`gosuper_request_duration_seconds_bucket{le="0.25"} 5`,
		`gosuper_request_duration_seconds_bucket{le="+Inf"} 6`,
		`gosuper_request_duration_seconds_sum 4.5`,
		`gosuper_request_duration_seconds_count 6`,
		`gosuper_request_timeouts_total 5`,
		`gosuper_requests_in_flight 6`,
		`gosuper_requests_lost_total 15`,
		`gosuper_requests_total{code="1xx"} 0`,
		`gosuper_requests_total{code="2xx"} 10`,
		`gosuper_requests_total{code="3xx"} 11`,
		`gosuper_requests_total{code="4xx"} 12`,
		`gosuper_requests_total{code="5xx"} 13`,
		`gosuper_requests_unslotted_total 17`,
		`gosuper_spares_target 2`, `gosuper_worker_memory_bytes{slot="0"} 100`,
		`gosuper_worker_memory_bytes{slot="1"} 250`, `gosuper_worker_memory_bytes{slot="spare"} 90`,
		`gosuper_worker_restarts_total{reason="crash"} 6`,
		`gosuper_worker_restarts_total{reason="lifetime"} 0`,
		`gosuper_worker_restarts_total{reason="max_failures"} 0`,
		`gosuper_worker_restarts_total{reason="max_requests"} 0`,
		`gosuper_worker_restarts_total{reason="memory"} 0`,
		`gosuper_worker_restarts_total{reason="recycle"} 0`,
		`gosuper_worker_restarts_total{reason="reload"} 7`,
		`gosuper_worker_restarts_total{reason="scale"} 0`,
		`gosuper_worker_restarts_total{reason="startup"} 0`,
		`gosuper_worker_restarts_total{reason="timeout"} 0`,
		`gosuper_worker_spawn_seconds_bucket{le="1"} 2`,
		`gosuper_worker_spawn_seconds_bucket{le="+Inf"} 2`,
		`gosuper_worker_spawn_seconds_sum 0.75`,
		`gosuper_worker_spawn_seconds_count 2`,
		`gosuper_workers{state="draining"} 1`,
		`gosuper_workers{state="ready"} 2`, `gosuper_workers{state="spare"} 1`,
		`gosuper_workers{state="starting"} 1`, `gosuper_workers{state="stopping"} 0`,
		`gosuper_workers_target 4`,
	}
	if !slices.Equal(samples, want) {
		t.Errorf("got\n%s", strings.Join(samples, "\n"))
	}
}

// TestMetricsOfPlainWorkers: what they do not report is absent, not 0.
func TestMetricsOfPlainWorkers(t *testing.T) {
	plain := figures
	plain.Codes, plain.Durations, plain.Status.Counters = nil, nil, control.Counters{}
	plain.Status.Workers = []control.Worker{{State: "ready", MemoryBytes: 100}}
	_, address := serve(t, &master{metrics: plain})
	_, _, text := get(t, "http://"+address+"/metrics")
	if strings.Contains(text, "gosuper_request") {
		t.Errorf("plain workers have reported requests:\n%s", text)
	}
	for _, name := range []string{"gosuper_workers{", "gosuper_backlog ", "gosuper_worker_memory_bytes{", "gosuper_worker_restarts_total{"} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("there is no %s", name)
		}
	}
}

// TestReference: people read of what is there, with its type and meaning.
func TestReference(t *testing.T) {
	_, address := serve(t, &master{metrics: figures})
	_, _, text := get(t, "http://"+address+"/metrics")
	reference := Reference()
	for _, m := range metrics() {
		for _, want := range []string{"# HELP " + m.name + " " + m.about() + "\n", fmt.Sprintf("# TYPE %s %s\n", m.name, m.kind)} {
			if !strings.Contains(text, want) {
				t.Errorf("/metrics has not %q", want)
			}
		}
		if !strings.Contains(reference, fmt.Sprintf("\n  %s (%s)\n      %s\n", m.name, m.kind, m.help)) {
			t.Errorf("the reference has not %s", m.name)
		}
		if m.label != "" && m.label != "slot" && m.label != "generation" && m.label != "version" {
			for value := range strings.SplitSeq(m.values, ", ") {
				if !strings.Contains(text, fmt.Sprintf("%s{%s=%q}", m.name, m.label, value)) {
					t.Errorf("/metrics has not the %s %s of %s", m.label, value, m.name)
				}
			}
		}
	}
	if families := regexp.MustCompile(`(?m)^# TYPE `).FindAllString(text, -1); len(families) != len(metrics()) {
		t.Errorf("%d families, and %d in the reference", len(families), len(metrics()))
	}
}

// TestLimits: who sends too much or nothing is cut off, and who comes too late waits.
func TestLimits(t *testing.T) {
	t.Parallel()
	e, address := serve(t, &master{})
	dial := func() net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(testTimeout))
		return c
	}
	big := dial()
	defer big.Close()
	// The server may hang up before it has read all.
	fmt.Fprintf(big, "GET /health HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", strings.Repeat("x", 4*maxHeader))
	if line, err := bufio.NewReader(big).ReadString('\n'); err == nil && !strings.Contains(line, " 431 ") {
		t.Errorf("a big header: %q", line)
	}
	silent := dial()
	defer silent.Close()
	fmt.Fprintf(silent, "GET /health HTTP/1.1\r\nHost")
	if text, err := io.ReadAll(silent); err != nil || strings.Contains(string(text), " 200 ") {
		t.Errorf("half a header: %q, %v", text, err)
	}
	e.Close()
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("a closed endpoint accepts connections")
	}
}

// TestProbesFindRoom: however many connect and do nothing, or little, probes are
// answered in time.
func TestProbesFindRoom(t *testing.T) {
	pages := strings.Repeat("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 1000)
	for name, says := range map[string]string{
		"silent":      "",
		"half asking": "GET /health HTTP/1.1\r\nHost",
		"idle":        "GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
		"sending":     "GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
		"not reading": pages,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, address := serve(t, &master{health: control.Health{Ready: true}})
			var wg sync.WaitGroup
			defer wg.Wait()
			for range 200 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				wg.Go(func() { io.WriteString(c, says) }) // blocks where nothing is read for long
			}
			for range 6 {
				begin := time.Now()
				status, _, _ := get(t, "http://"+address+"/health/ready")
				if took := time.Since(begin); status != 200 || took > headerTimeout/2 {
					t.Errorf("%d after %v", status, took)
				}
			}
		})
	}
}

// TestClose: also of an endpoint that has just begun, on a unix socket.
func TestClose(t *testing.T) {
	server := New(&master{}, log.New(io.Discard, "", 0))
	for range 100 {
		l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			t.Fatal(err)
		}
		server.Serve(l, See).Close()
		if _, err := net.Dial("unix", l.Addr().String()); err == nil {
			t.Fatal("a closed endpoint accepts connections")
		}
	}
}

// BenchmarkMetrics is a scrape of 64 workers but for what the master does for it.
func BenchmarkMetrics(b *testing.B) {
	m := figures
	m.Status.Workers = nil
	for slot := range 64 {
		m.Status.Workers = append(m.Status.Workers, control.Worker{Slot: slot, State: "ready", MemoryBytes: 1 << 20})
	}
	s := New(&master{metrics: m}, nil)
	for b.Loop() {
		r, _ := http.NewRequestWithContext(b.Context(), "GET", "/metrics", nil)
		s.serveMetrics(blind{}, r)
	}
}

// blind is a writer of answers that nobody reads.
type blind struct{}

func (blind) Header() http.Header         { return http.Header{} }
func (blind) Write(p []byte) (int, error) { return len(p), nil }
func (blind) WriteHeader(int)             {}
