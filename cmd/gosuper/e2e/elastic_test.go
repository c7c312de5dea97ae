//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Where nobody runs the first connection starts a worker, which answers it; when nobody
// was needed for idle_timeout nobody runs again. Nobody is refused, however often.
func TestNobodyUntilSomebodyComes(t *testing.T) {
	t.Parallel()
	for name, how := range map[string][]string{
		"cooperating": {command(as("serve")...)},
		"proxy":       {command(need(t, "node"), filepath.Join(proxiedDir(t), "server.js")), classProxy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line, path := controlled(t)
			m := up(t, line, "workers = 0", "workers_max = 4", "target_in_flight = 8", `idle_timeout = "1s"`, strings.Join(how, "\n"), admin("127.0.0.1:0"))
			if st, _ := asked(t, path, false); st.WorkersTarget != 0 || len(st.Workers) != 0 || st.Condition != "ready" || st.Sizing == nil || st.Sizing.Max != 4 {
				t.Fatalf("at first %+v", st)
			}
			cycles := 20
			if testing.Short() {
				cycles = 2
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for range cycles {
				from, begin := m.mark(), time.Now()
				r, err := client.Get("http://" + m.addr() + "/")
				if err != nil {
					t.Fatal(err)
				}
				r.Body.Close()
				took := time.Since(begin)
				started, ready := m.wait(t, from, "worker started", match{"reason": "scale"}), m.wait(t, from, "worker ready", nil)
				t.Logf("answered after %v, of which the boot took %v, begun %v after the connection", took, ready.at.Sub(started.at), started.at.Sub(begin))
				if r.StatusCode != http.StatusOK {
					t.Errorf("answered %s", r.Status)
				}
				m.wait(t, from, "worker gone", match{"reason": "scale"})
			}
			if n := len(m.all(0, "worker started", nil)); n != cycles {
				t.Errorf("%d workers for %d requests", n, cycles)
			}
			m.samples() // the metrics can be had of a fleet of nobody
		})
	}
}

// As many workers are there as the requests in flight take, and those that are not needed
// go, the one with the least to do first.
func TestWorkersFollowTheDemand(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	m := up(t, line, "workers = 1", "workers_max = 4", "target_in_flight = 4", `idle_timeout = "2s"`)
	begin := time.Now()
	for range 16 {
		m.fly("/sleep?d=6s")
	}
	eventually(t, "four workers to be asked for", func() bool { st, _ := asked(t, path, false); return st.WorkersTarget == 4 })
	t.Logf("four workers are asked for %v after the first of 16 requests: from one, by doubling", time.Since(begin))
	eventually(t, "four workers to be ready", func() bool { st, _ := asked(t, path, false); return st.ReadyWorkers == 4 })
	t.Logf("and are ready %v after it", time.Since(begin))
	from := m.mark()
	eventually(t, "one worker to be left", func() bool { st, _ := asked(t, path, false); return st.WorkersTarget == 1 })
	scaled := m.all(from, "scaled", nil)
	if len(scaled) != 3 {
		t.Errorf("they went in %d steps", len(scaled))
	}
}

// A step from one request in flight to 64 is met within a second, which is what doubling
// once takes.
func TestLoadStep(t *testing.T) {
	t.Parallel()
	m := up(t, "workers = 2", "workers_max = 4", "target_in_flight = 16", `idle_timeout = "1h"`)
	m.fly("/sleep?d=20s")
	from, begin := m.mark(), time.Now()
	for range 63 {
		m.fly("/sleep?d=20s")
	}
	var took time.Duration
	for _, e := range m.count(t, 2, from, "worker ready", nil) {
		took = max(took, e.at.Sub(begin))
	}
	t.Logf("four workers are ready %v after the first of 63 more requests", took)
	if most := 10 * time.Second; took > most { // a tenth on a quiet machine
		t.Errorf("it took %v", took)
	}
}

// An elastic fleet that has nothing to do does not wake its master, be it of nobody or of
// its least number, with connections open on which requests may come. When there is
// something to do again that is seen at once.
func TestIdleElasticMasterSleeps(t *testing.T) {
	t.Parallel()
	for _, floor := range []int{0, 2} {
		t.Run(fmt.Sprintf("at least %d", floor), func(t *testing.T) {
			t.Parallel()
			line, path := controlled(t)
			kept := `keepalive = "1h"`
			if floor == 0 {
				kept = "" // else whoever is to go stays as long
			}
			m := up(t, line, fmt.Sprintf("workers = %d", floor), "workers_max = 4", "target_in_flight = 4", `idle_timeout = "1s"`, kept)
			if r, _, err := m.get("/"); err != nil || r.StatusCode != http.StatusOK {
				t.Fatal(err)
			}
			eventually(t, "nobody to be left but those", func() bool { st, _ := asked(t, path, false); return len(st.Workers) == floor })
			if floor > 0 {
				m.fly("/") // on a connection that stays open
			}
			woken, all := m.wakeups(20 * time.Second)
			t.Logf("%d wake-ups in 20s, %d context switches", woken, all)
			if woken > 4 {
				t.Errorf("%d wake-ups in 20s", woken)
			}
			begin := time.Now()
			for range 16 {
				m.fly("/sleep?d=20s")
			}
			eventually(t, "more workers to be asked for", func() bool { st, _ := asked(t, path, false); return st.WorkersTarget > floor })
			took := time.Since(begin)
			t.Logf("more than %d workers are asked for %v after the first of 16 requests", floor, took)
			if took > 10*time.Second { // a tenth on a quiet machine
				t.Errorf("it took %v", took)
			}
		})
	}
}

// An upgrade in place keeps the number of workers and what it follows, and one of nobody
// wakes up all the same.
func TestUpgradeOfAnElasticMaster(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	m := up(t, line, "workers = 0", "workers_max = 4", "target_in_flight = 1", `idle_timeout = "2s"`)
	m.upgrade()
	from := m.mark()
	for range 4 {
		m.fly("/sleep?d=6s")
	}
	m.wait(t, from, "worker started", match{"reason": "scale"})
	m.await(t, "four workers to be ready", func() bool { return len(m.workers()) == 4 })
	before, _ := asked(t, path, false)
	m.upgrade()
	if after, _ := asked(t, path, false); after.WorkersTarget != 4 || after.Sizing == nil || after.Sizing.Max != 4 || after.Sizing.Min != 0 {
		t.Errorf("there were %+v workers, and after the upgrade %d, by %+v", before.Sizing, after.WorkersTarget, after.Sizing)
	}
	eventually(t, "nobody to be left", func() bool { st, _ := asked(t, path, false); return st.WorkersTarget == 0 && len(st.Workers) == 0 })
}

// slowly is a plain server in Python that has one request at a time.
const slowly = `
import select, socket, time
s = socket.socket(fileno=3)
while True:
    select.select([s], [], [])
    try:
        c, _ = s.accept()
    except BlockingIOError:
        continue
    c.setblocking(True)
    c.recv(9999)
    time.sleep(0.2)
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    c.close()
`

// Of plain workers another one starts while connections go on waiting, from nobody on.
func TestPlainWorkersFollowTheQueue(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	m := up(t, line, "workers = 0", "workers_max = 3", "target_in_flight = 1", `idle_timeout = "1s"`, `ready = "1s"`, command(need(t, "python3"), "-c", slowly))
	load := m.enquire("/", 8)
	eventually(t, "three workers to be ready", func() bool { st, _ := asked(t, path, false); return st.ReadyWorkers == 3 })
	load.end()
	if len(load.failures) > 0 {
		t.Errorf("failures by process: %v", load.failures)
	}
	st, _ := asked(t, path, false)
	t.Log(st.Sizing.Why)
	if st.WorkersTarget != 3 {
		t.Errorf("%d workers are asked for", st.WorkersTarget)
	}
}
