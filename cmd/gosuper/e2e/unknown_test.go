//go:build linux

package e2e

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// TestPlainFleetIsNotIdle: with requests served and one killed in flight nobody
// says that there was none, nowhere.
func TestPlainFleetIsNotIdle(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	m := up(t, line, "workers = 1", command(plain), admin("127.0.0.1:0"), `restart = { reset_after = "10ms" }`)
	served := m.load(load.Plan{Connections: 2})
	served.more(100)
	if result := served.end(); result.Complete == 0 {
		t.Fatal("nothing was served")
	}
	conn, err := net.Dial("tcp", m.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost")

	check := func(when string) {
		t.Helper()
		st, _ := asked(t, path, true)
		w, c := st.Workers[0], st.Counters
		for what, known := range map[string]bool{
			"requests": w.Requests != nil, "in flight": w.InFlight != nil, "in flight of all": st.InFlight() != nil,
			"all requests": c.Requests != nil, "timeouts": c.Timeouts != nil, "requests lost": c.RequestsLost != nil, "innocents lost": c.InnocentsLost != nil,
		} {
			if known {
				t.Errorf("%s: %s are known", when, what)
			}
		}
		if !strings.Contains(st.Unknown, "the workers are plain ones") {
			t.Errorf("%s: the reason is %q", when, st.Unknown)
		}
		for name := range m.samples() {
			if strings.HasPrefix(name, "gosuper_request") {
				t.Errorf("%s: there is a metric %s", when, name)
			}
		}
		if _, feed := fetch(t, m.adminAddr(), "/feed"); !strings.Contains(feed, `"codes":null,"durations":null,"in_flight":null`) {
			t.Errorf("%s: the page is told %s", when, feed)
		}
		out, _, _ := person{t: t}.does("status", "--control", path)
		if !strings.Contains(out, "- requests, - timeouts, - requests lost; restarts:") || !strings.Contains(out, "\n"+st.Unknown+"\n") {
			t.Errorf("%s: status says\n%s", when, out)
		}
	}
	check("serving")
	from := m.mark()
	syscall.Kill(m.workers()[0], syscall.SIGKILL)
	crashed := m.wait(t, from, "worker crashed", nil)
	m.wait(t, from, "worker ready", nil)
	check("after a kill")
	for _, e := range []event{crashed, m.stopped(nil)} {
		for _, name := range []string{"requests", "timeouts", "requests_lost", "innocents_lost"} {
			if strings.Contains(e.line, `"`+name+`"`) {
				t.Errorf("the log knows %s: %s", name, e.line)
			}
		}
	}
}

// TestRequestsLost: a worker that is killed takes along what it has in flight, and
// that is said.
func TestRequestsLost(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	m := up(t, line, "workers = 1", admin("127.0.0.1:0"))
	over := make(chan error, 3)
	for range cap(over) {
		go func() {
			_, _, err := m.get("/sleep?d=60s")
			over <- err
		}()
	}
	m.inFlight(float64(cap(over)))
	syscall.Kill(m.workers()[0], syscall.SIGKILL)
	crashed := m.wait(t, 0, "worker crashed", match{"requests_lost": cap(over)})
	for range cap(over) {
		if <-over == nil {
			t.Error("a killed worker answers")
		}
	}
	m.wait(t, 0, "worker ready", match{"slot": crashed.num("slot")})
	if st, _ := asked(t, path, false); *st.Counters.RequestsLost != uint64(cap(over)) || st.Unknown != "" {
		t.Errorf("counters %+v, %s", st.Counters, st.Unknown)
	}
	out, _, _ := person{t: t}.does("status", "--control", path)
	if !strings.Contains(out, fmt.Sprintf(" %d requests lost;", cap(over))) {
		t.Errorf("status says\n%s", out)
	}
	m.stopped(match{"requests_lost": cap(over)})
}
