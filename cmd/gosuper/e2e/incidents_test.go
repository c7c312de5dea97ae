//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// hold has n requests be in flight, with ids, and returns when a response to each has begun.
func (m *master) hold(n int) (ids []string) {
	m.t.Helper()
	addr := m.addr()
	for i := range n {
		id := fmt.Sprintf("request-%d", i)
		conn, err := net.Dial(network(addr), addr)
		if err != nil {
			m.t.Fatal(err)
		}
		m.t.Cleanup(func() { conn.Close() })
		fmt.Fprintf(conn, "GET /sleep?d=1h HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n", id)
		if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			m.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// incidentsOf asks for the incidents.
func incidentsOf(t testing.TB, path string) []control.Incident {
	t.Helper()
	all, err := control.NewClient(path).Incidents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all.Incidents
}

// A worker that is killed leaves behind which requests it held: all of them, at once, also
// over an upgrade.
func TestIncidentNamesRequests(t *testing.T) {
	const soon, most = 50 * time.Millisecond, 500 * time.Millisecond
	line, path := controlled(t)
	m := up(t, line, "workers = 1", `timeout = "1h"`, "worker_connections = 0")
	p := person{t: t}
	p.expects(0, "no worker has died, or was ended for a fault\n", "", "incidents", "--control", path)
	fastest := most
	for round, n := range []int{12, 240, 300} {
		st, _ := asked(t, path, false)
		worker, ids := st.Workers[0], m.hold(n)
		from, begin := m.mark(), time.Now()
		syscall.Kill(*worker.PID, syscall.SIGKILL)
		crashed := m.wait(t, from, "worker crashed", match{"worker": worker.ID, "requests_lost": n, "held_more": n - 8})
		told := crashed.at.Sub(begin)
		if held := crashed.fields["held"].([]any); len(held) != 8 || !strings.HasPrefix(held[0].(string), "GET /sleep (request-0) for ") || !strings.HasSuffix(held[0].(string), "s, response begun") {
			t.Errorf("the log names %q", held)
		}
		all := incidentsOf(t, path)
		known := time.Since(begin)
		t.Logf("%d requests: in the log after %v, asked for after %v", n, told, known)
		if fastest = min(fastest, known); known > most && !raceEnabled {
			t.Errorf("it took %v", known)
		}
		if len(all) != round+1 || all[0].Worker != worker.ID || all[0].Reason != "crash" || all[0].Status != "killed by SIGKILL" || all[0].RequestsLost == nil || *all[0].RequestsLost != uint64(n) {
			t.Fatalf("the incidents are %+v", all)
		}
		named := []string{}
		for _, r := range all[0].Requests {
			named = append(named, r.RequestID)
			if r.Method != "GET" || r.Path != "/sleep" || r.Sent != "begun" || r.AgeSeconds > testTimeout.Seconds() {
				t.Errorf("one of them is %+v", r)
			}
		}
		if more := n - len(named); more != max(n-240, 0) || all[0].RequestsMore != more {
			t.Errorf("%d are named, and %d more", len(named), all[0].RequestsMore)
		}
		slices.Sort(named)
		slices.Sort(ids)
		for _, id := range named {
			if _, found := slices.BinarySearch(ids, id); !found {
				t.Errorf("nobody sent %q", id)
			}
		}
		if len(slices.Compact(named)) != min(n, 240) {
			t.Error("some are named twice")
		}
		m.wait(t, from, "worker ready", nil)
	}
	if fastest > soon && !raceEnabled { // the others may have waited for a processor
		t.Errorf("it took %v, want %v", fastest, soon)
	}
	before := incidentsOf(t, path)
	m.upgrade()
	after := incidentsOf(t, path)
	for i := range before {
		before[i].AgoSeconds, after[i].AgoSeconds = 0, 0
	}
	if a, b := asJSON(t, before), asJSON(t, after); a != b {
		t.Errorf("before the upgrade\n%s\nand after it\n%s", a, b)
	}

	id := fmt.Sprint(before[2].Worker)
	p.expects(0, ` *AGO  WORKER  SLOT  GEN  REASON  ENDED  +AGE +MEMORY  LOST  HELD\n.*`+
		` +`+id+` +0    1  crash   killed by SIGKILL .* 12  GET /sleep and 11 more\n\ngosuper incidents ID .*\n`, "", "incidents", "--control", path)
	p.expects(0, `worker `+id+`  slot 0  pid \d+  generation 1\ncrash: killed by SIGKILL  .*\n12 requests held, 12 lost:\n`+
		` *AGE +IDLE  RESPONSE  METHOD  PATH    REQUEST ID\n.*begun     GET     /sleep  request-11\n`, "", "incidents", id, "--control", path)
	p.expects(1, "", "gosuper: error: there is no incident of worker 99\ngosuper: hint: gosuper incidents lists the last 64\n", "incidents", "99", "--control", path)
	p.expects(2, "", `gosuper: error: "all" is not the id of a worker\ngosuper: hint: .*`, "incidents", "all", "--control", path)
	out, _, _ := p.does("incidents", id, "--json", "--control", path)
	var one control.Incidents
	if err := json.Unmarshal([]byte(out), &one); err != nil || len(one.Incidents) != 1 || len(one.Incidents[0].Requests) != 12 {
		t.Errorf("%v: %s", err, out)
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What a stuck worker wrote when it was asked for its stacks is kept apart from its last
// lines, with the request that it was stuck with.
func TestIncidentHasStacks(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	m := up(t, line, "workers = 1", `timeout = "500ms"`)
	stuck := m.workers()[0]
	replies := send(m.addr(), "/spin?d=1h", 1)
	m.wait(t, 0, "worker gone", match{"pid": stuck, "reason": "timeout"})
	take(t, 1, replies)
	all := incidentsOf(t, path)
	if len(all) != 1 || all[0].Reason != "timeout" || len(all[0].Requests) != 1 || all[0].Requests[0].Path != "/spin" || all[0].Requests[0].Sent != "ended" {
		t.Fatalf("the incidents are %+v", all)
	}
	if i := all[0]; len(i.Stacks) < 10 || !strings.HasPrefix(i.Stacks[0], "SIGABRT: abort") || slices.ContainsFunc(i.LastLines, func(l string) bool { return strings.Contains(l, "goroutine") }) {
		t.Errorf("its last lines are %q, its stacks %q", i.LastLines, i.Stacks)
	}
	person{t: t}.expects(0, `.*\nits stacks:\n  SIGABRT: abort\n.*goroutine .*`, "", "incidents", fmt.Sprint(all[0].Worker), "--control", path)
}
