//go:build linux

package admin

import (
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
)

var shots = flag.String("shots", "", "keep pictures of the page in this folder")

// evil is a text that must be seen as it is.
const evil = `<img src=x onerror="alert(1)"><script>alert(2)</script>`

// busy is a master whose workers do something, and say evil things.
func busy() *master {
	m := &master{metrics: figures, serves: true}
	m.metrics.Durations = &Histogram{Bounds: []float64{0.001, 0.25}, Counts: []uint64{3, 2, 1}}
	m.status = control.Status{
		Name: "agent" + evil, PID: 4711, Version: "1.2.3", State: control.Running, Condition: control.FleetCrashLoop, ReadyWorkers: 2, Generation: 3, UptimeSeconds: 93784,
		WorkersTarget: 3, MemoryBytes: new(uint64(208 << 20)), Binds: []string{"tcp://127.0.0.1:8000"},
		Workers: []control.Worker{
			{ID: 7, Slot: 1, PID: new(102), Generation: 3, State: "ready", Cooperating: true, AgeSeconds: 61, Requests: new(uint64(1234)), InFlight: new(uint64(2)), MaxRequests: 5000, CPUSeconds: new(2.5), MemoryBytes: 5 << 20, Restarts: 2, Status: evil, Recycle: "stale_model"},
			{ID: 5, Slot: 0, PID: new(101), Generation: 3, State: "ready", AgeSeconds: 7200, MemoryBytes: 3 << 20, Recycle: "lifetime"},
			{ID: 9, Slot: 2, PID: new(103), Generation: 3, State: "starting", Cooperating: true, Requests: new(uint64), InFlight: new(uint64)},
		},
		Loaders: []control.Loader{
			{PID: new(99), Generation: 3, State: "ready", AgeSeconds: 3600, Forks: 12, CPUSeconds: new(1.5), MemoryBytes: 200 << 20, Status: evil},
			{Generation: 4, State: "starting"},
		},
		LoaderFailing: &control.LoaderFailing{Failures: 2, NextSeconds: 1.5, Status: "exit status 1", LastLines: []string{"ImportError", evil}, Hint: "mend it"},
		Requests: []control.Request{
			{Worker: 7, Method: "GET", Path: "/agent/stream", AgeSeconds: 1.5, IdleSeconds: 0.02, Streaming: true, RequestID: "abc"},
			{Worker: 7, Method: "GET", Path: "/same", AgeSeconds: 3, IdleSeconds: 0.1, RequestID: "one"},
			{Worker: 9, Method: "GET", Path: "/same", AgeSeconds: 5, IdleSeconds: 0.02, DueSeconds: new(0.03), RequestID: "two"},
			{Worker: 7, Method: evil, Path: "/" + evil, AgeSeconds: 12, IdleSeconds: 12, DueSeconds: new(3.0), RequestID: evil},
		},
		Counters: control.Counters{Requests: new(uint64(1234)), Restarts: map[control.Reason]uint64{control.Crash: 6, control.MaxRequests: 12, control.Scale: 0}, RecycleReasons: map[string]uint64{"stale_model": 2, "cuda_error": 3}, LoaderRestarts: map[control.Reason]uint64{control.Startup: 2}},
		CrashLoop: &control.CrashLoop{
			Slots: []int{0, 2}, Crashes: 18, NextSeconds: 12.3, Worker: 8, Status: "exit status 1", LastLines: []string{"Traceback", evil},
		},
		Unknown:    "requests are not known " + evil,
		LastReload: control.Reload{Result: control.RolledBack, Error: "worker 8: exit status 1; its last lines:\n  " + evil},
	}
	m.status.Leases = []control.Lease{
		{Values: map[string]string{"gpu": "0", "port": evil}, Worker: new(7)},
		{Values: map[string]string{"gpu": "1"}},
		{Values: map[string]string{"gpu": "2"}, Worker: new(2), Unkillable: true},
		{Values: map[string]string{"gpu": "3"}, Worker: new(3)},
		{Values: map[string]string{"gpu": "4"}},
	}
	m.status.Sizing, m.status.Overlap = &control.Sizing{Min: 2, Max: 6, Why: "2 to 6 workers"}, &control.Overlap{Why: "no room for two"}
	m.history.StepSeconds = 15
	for i := range 200 {
		p := control.Point{AgoSeconds: float64(3000 - 15*i), Workers: new(uint64(2 + i/50)), InFlight: new(uint64(40 + i%50)), RequestsPerSecond: new(float64(100 + i%30)), MemoryBytes: new(uint64(200<<20 + i<<20))}
		if i > 100 {
			p.P50Seconds, p.P90Seconds, p.P99Seconds = new(.02), new(.1+float64(i%20)/100), new(1+float64(i%20)/10)
		}
		if i < 120 || i > 150 {
			m.history.Points = append(m.history.Points, p)
		}
	}
	m.incidents = []control.Incident{
		{
			At: "2026-01-02T03:04:05Z", Process: "worker", Worker: 8, Slot: 2, PID: 108, Generation: 3, Reason: "max_failures", Status: "exit status 1", AgoSeconds: 61, AgeSeconds: 2,
			MemoryBytes: new(uint64(5 << 20)), RequestsLost: new(uint64(3)), RequestsMore: 1, LastLines: []string{"Traceback", evil}, Stacks: []string{"goroutine 1", evil},
			Requests: []control.HeldRequest{
				{Method: evil, Path: "/" + evil, RequestID: evil, AgeSeconds: 1.5, IdleSeconds: 0.02, Sent: "begun"}, {Method: "GET", Path: "/b", AgeSeconds: 1, IdleSeconds: 1, Sent: "nothing"},
			},
		},
		{At: "2026-01-02T03:04:04Z", Process: "worker", Worker: 6, Slot: 2, Reason: evil, Status: "killed by SIGKILL", AgoSeconds: 7200, AgeSeconds: 60, LastLines: []string{}, Stacks: []string{}},
		{At: "2026-01-02T03:04:03Z", Process: "loader", Reason: "startup", Status: "exit status 1", AgoSeconds: 90, AgeSeconds: 3, LastLines: []string{"ImportError"}, Stacks: []string{}},
	}
	return m
}

// TestPage looks at the page in a real browser.
func TestPage(t *testing.T) {
	t.Parallel()
	m := busy()
	endpoint, address := serveOn(t, m, "127.0.0.1:0", See)
	origin := "http://" + address + "/"
	b := browse(t)
	for _, width := range []int{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.open(origin, width, 844, scheme)
			b.until(`document.getElementById("charts") && document.querySelectorAll("#latency path").length === 3 && !!document.querySelector("#cpu") && !!document.querySelector("#hour-memory path")`)
			if got := b.eval("document.documentElement.scrollWidth"); got != float64(width) {
				t.Errorf("%d pixels %s: the page is %v wide", width, scheme, got)
			}
			back := b.eval("getComputedStyle(document.body).backgroundColor")
			if bright := back == "rgb(245, 246, 248)"; bright != (scheme == "light") {
				t.Errorf("%s: the background is %v", scheme, back)
			}
			if *shots != "" {
				b.shot(filepath.Join(*shots, fmt.Sprintf("%d-%s.png", width, scheme)))
			}
		}
	}
	text := func(selector string) []string {
		var all []string
		for _, v := range b.eval(fmt.Sprintf("[...document.querySelectorAll(%q)].map(e => e.textContent)", selector)).([]any) {
			all = append(all, v.(string))
		}
		return all
	}
	for selector, want := range map[string][]string{
		"h1":           {"agent" + evil},
		"#state":       {"crash loop (2 of 3 ready)"},
		"#facts":       {"gosuper 1.2.3 · pid 4711 · up 1 d 2 h · generation 3 · last reload rolled back · tcp://127.0.0.1:8000"},
		"#glance span": {"2\u00a0in\u00a0flight · 14\u00a0in\u00a0the\u00a0backlog · p99\u00a0250\u00a0ms · 208\u00a0MiB"},
		"#glance a":    {"last incident 1 min 1 s ago: max failures"},
		"#workers td": {
			"ready", "0", "5", "101", "3", "2 h 0 min", "-", "-", "-", "-", "3 MiB", "0", "to be replaced: lifetime", "",
			"ready", "1", "7", "102", "3", "1 min 1 s", "1,234 / 5,000", "0.0", "2", "0%", "5 MiB", "2", "to be replaced: stale model · " + evil + " /" + evil + " for 12 s, no progress for 12 s, and 2 more · " + evil, "",
			"starting", "2", "9", "103", "3", "0 s", "0", "0.0", "0", "-", "-", "0", "GET /same for 5 s", "",
		},
		"#loaders td": {
			"ready", "99", "3", "1 h 0 min", "12", "1.5 s", "200 MiB", evil,
			"starting", "-", "4", "0 s", "0", "-", "-", "",
		},
		"#loads":        {"the workers are forked from · restarts: startup 2"},
		"#unloaded pre": {"The loader failed 2 times in a row: exit status 1; the next start in 1.5 s.\nMend it.\nIts last lines:\nImportError\n" + evil},
		"#requests td": {
			"1", "12 s", "12 s", "waiting", evil, "/" + evil, "7", evil,
			"2", "5 s", "100 ms", "waiting", "GET", "/same", "7, 9", "",
			"1", "1.5 s", "20 ms", "streaming", "GET", "/agent/stream", "7", "abc",
		},
		"#count": {"4"},
		"#incidents td": {
			"max failures", "1 min 1 s", "8", "2", "exit status 1", "2 s", "3", "held " + evil + " /" + evil + ", GET /b",
			evil, "2 h 0 min", "6", "2", "killed by SIGKILL", "1 min 0 s", "-", "",
			"startup", "1 min 30 s", "loader", "-", "exit status 1", "3 s", "-", "ImportError",
		},
		"#leases td": {
			"held", "gpu=0 port=" + evil, "worker 7",
			"unkillable", "gpu=2", "worker 2, which SIGKILL has not ended", "held", "gpu=3", "worker 3, which is gone: a process of its group is left",
			"free", "gpu=1, gpu=4", "",
		},
		"#leased":         {"2 of 5 free"},
		"#silent pre":     {"Worker 7: " + evil + " /" + evil + " has made no progress for 12 s, and is ended in 3 s."},
		"#workers .late":  {"to be replaced: stale model · " + evil + " /" + evil + " for 12 s, no progress for 12 s, and 2 more · " + evil},
		"#why":            {"2 to 6 workers\nno room for two"},
		"#hours output":   {"at most 5", "at most 89", "median 20 ms, p99 2.9 s", "at most 399 MiB"},
		"#ready":          {"2 of 3 ready · restarts: max requests 12, crash 6 (wanted by workers: cuda error 3, stale model 2)"},
		"#unknown":        {"requests are not known " + evil},
		"#looping pre":    {"Slots 0, 2 are in a crash loop: 18 crashes in a row, the next start in 12.3 s.\nWorker 8: exit status 1; its last lines:\nTraceback\n" + evil},
		"#flight output":  {"2"},
		"#latency output": {"median 1 ms, p99 250 ms"},
		"#memory output":  {"208 MiB in all"},
		"#reloaded pre":   {"The last reload was rolled back. worker 8: exit status 1; its last lines:\n  " + evil},
	} {
		if got := text(selector); !slices.Equal(got, want) {
			t.Errorf("%s\n%q, want\n%q", selector, got, want)
		}
	}
	if b.eval("getComputedStyle(document.querySelector('#glance span')).display") == "none" {
		t.Error("a phone shows no figures at a glance")
	}
	b.eval("document.querySelector('#incidents button').click()")
	b.until("document.querySelectorAll('#incidents pre').length === 3")
	whole := text("#incidents .single pre")
	want := []string{evil + " /" + evil + " (" + evil + ")  1.5 s, idle for 20 ms, response begun\nGET /b  1 s, idle for 1 s\nand 1 more", "Traceback\n" + evil, "goroutine 1\n" + evil}
	if facts := text("#incidents .single p")[0]; !slices.Equal(whole, want) || !strings.HasSuffix(facts, " · pid 108 · generation 3 · 5 MiB of memory") {
		t.Errorf("all of an incident is %s, %q, want %q", facts, whole, want)
	}
	if *shots != "" {
		b.shot(filepath.Join(*shots, "incident.png"))
	}
	if b.eval("document.querySelectorAll('img, main script, td script, pre script').length") != 0.0 {
		t.Error("what workers say has become markup")
	}
	b.eval("document.querySelector('#incidents button').click()")
	b.until("document.querySelectorAll('#incidents pre').length === 0")
	if b.eval("document.getElementById('actions').hidden") != true || len(text("#workers button")) > 0 {
		t.Error("the page offers actions that are not granted")
	}

	endpoint.Grant(Act)
	b.until("!document.getElementById('actions').hidden")
	click := func(selector string) { b.eval(fmt.Sprintf("document.querySelector(%q).click()", selector)) }
	for _, action := range []struct {
		button string
		clicks int
		does   string
	}{
		{"#more", 1, "scale 1"},
		{"#less", 1, "scale -1"},
		{"#reload", 2, "reload false"},
		{"#recycle", 2, "recycle [] true"},
		{"#workers tr[data-key='7'] button", 2, "recycle [7] false"},
	} {
		for n := range action.clicks {
			if does := m.done(); does != nil {
				t.Errorf("%s does %q after %d clicks", action.button, does, n)
			}
			click(action.button)
		}
		b.until("!document.getElementById('answer').hidden")
		click("#answer button")
		if does := m.done(); !slices.Equal(does, []string{action.does}) {
			t.Errorf("%s does %q, want %q", action.button, does, action.does)
		}
	}
	if all := b.complaints(origin); len(all) > 0 {
		t.Errorf("the browser complains:\n%s", strings.Join(all, "\n"))
	}

	endpoint.Close()
	b.until("document.getElementById('state').textContent.startsWith('no answer for ')")
}

// TestPolicy: the page may run and load what is in it alone.
func TestPolicy(t *testing.T) {
	_, address := serve(t, &master{})
	_, header, body := get(t, "http://"+address+"/")
	if body != string(page()) {
		t.Error("the page is not as it was written")
	}
	rules := header.Get("Content-Security-Policy")
	if !strings.HasPrefix(rules, "default-src 'none'; script-src 'sha256-") || strings.Contains(rules, "unsafe") {
		t.Errorf("the policy is %s", rules)
	}
	for element, n := range map[string]int{"<script": 1, "<style": 1, " style=": 0, "innerHTML": 0, "insertAdjacentHTML": 0, "eval(": 0} {
		if got := strings.Count(body, element); got != n {
			t.Errorf("%d times %s, want %d", got, element, n)
		}
	}
	if got := http.DetectContentType([]byte(body)); got != "text/html; charset=utf-8" {
		t.Errorf("the page looks like %s", got)
	}
}
