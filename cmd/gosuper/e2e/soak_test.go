//go:build linux

package e2e

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

var soakSpan = flag.Duration("soak", 8*time.Second, "how long the soak lasts")

// stuck is the load of requests that do not end by themselves.
const stuck = "stuck"

// soakLoads are what clients do at the same time. Kept connections have no pause,
// so that there is nearly always a request on them.
var soakLoads = []struct {
	name string
	plan load.Plan
}{
	{"new connections", load.Plan{Connections: 3, Pause: 2 * time.Millisecond}},
	{"keep-alive", load.Plan{Connections: 3, Mode: load.KeepAlive, Method: "POST", Body: `{"prompt":"hello"}`}},
	{"slow", load.Plan{Connections: 6, Path: "/nap?d=150ms"}},
	{"streams", load.Plan{Connections: 4, Path: "/tokens?n=30&d=50ms"}},
	{stuck, load.Plan{Connections: 1, Path: "/nap?d=30s", Pause: 700 * time.Millisecond}},
}

// ledger is who was lost, and what killed workers had in their hands.
type ledger struct {
	mu     sync.Mutex // guards what follows
	lost   []load.Answer
	ended  int                  // stuck ones, with 504
	killed map[string]time.Time // connections of killed workers by the address of the client: when
}

func (l *ledger) see(of string, a load.Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case a.Kind == load.Complete:
	case of == stuck && a.Kind == load.Status && strings.Contains(a.Err.Error(), "504"):
		l.ended++
	default:
		l.lost = append(l.lost, a)
	}
}

// kill kills a worker, unless it is about to end by itself. What it has in its hands
// at that moment is what the kernel says its connections are, while it stands still.
func (l *ledger) kill(t *testing.T, pid int) bool {
	t.Helper()
	if syscall.Kill(pid, syscall.SIGSTOP) != nil {
		return false
	}
	ended := func() bool { state := status(pid)["State"]; return state == "" || state[0] == 'Z' }
	eventually(t, "a worker stops", func() bool { return suspended(pid) || ended() })
	if ended() {
		return false
	}
	clients := clientsOf(t, pid)
	l.mu.Lock()
	for _, client := range clients {
		l.killed[client] = time.Now()
	}
	l.mu.Unlock()
	return syscall.Kill(pid, syscall.SIGKILL) == nil
}

// clientsOf returns the other ends of the connections of a process that stands still.
// They are asked for one by one: the kernel's table of all connections may leave some
// out that is read while it changes.
func clientsOf(t *testing.T, pid int) (clients []string) {
	t.Helper()
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(process)
	descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range descriptors {
		if to, _ := os.Readlink(path); !strings.HasPrefix(to, "socket:[") {
			continue
		}
		theirs, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		own, err := unix.PidfdGetfd(process, theirs, 0)
		if err != nil {
			t.Fatal(err)
		}
		peer, err := unix.Getpeername(own)
		unix.Close(own)
		if peer, ok := peer.(*unix.SockaddrInet4); ok && err == nil { // else it listens, or is the master's
			clients = append(clients, netip.AddrPortFrom(netip.AddrFrom4(peer.Addr), uint16(peer.Port)).String())
		}
	}
	return clients
}

// soaked are the programs that are soaked, each at a pace that its starts allow.
var soaked = []struct {
	name string
	pace time.Duration // from one reload to the next; kills are half as many again apart
	up   func(t *testing.T, lines ...string) *master
}{
	{"Go", time.Second, func(t *testing.T, lines ...string) *master { return up(t, lines...) }},
	{"Python", 1500 * time.Millisecond, upSoakedPython},
	{"Node", 1500 * time.Millisecond, func(t *testing.T, lines ...string) *master {
		program := command(need(t, "node"), "--import", absolute(t, nodePackage+"/lib/register.cjs"), absolute(t, "testdata/soak/app.cjs"))
		return up(t, append([]string{program}, lines...)...)
	}},
	{"proxy", 1500 * time.Millisecond, func(t *testing.T, lines ...string) *master {
		return up(t, append([]string{command(need(t, "node"), absolute(t, "testdata/soak/app.cjs"), "{port}"), classProxy}, lines...)...)
	}},
	{"Go with all of it", time.Second, upWithAll},
}

// upWithAll starts a master with what else moves workers, or watches them: leases, some of
// which are scarce while workers are replaced, a number that follows the demand,
// recycling, failures and incidents that are written down.
func upWithAll(t *testing.T, lines ...string) *master {
	t.Helper()
	dir := t.TempDir()
	lines = slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, "workers ") })
	m := up(t, append([]string{
		"workers = 2", "workers_max = 4", "target_in_flight = 4", `idle_timeout = "2s"`, "resources = { gpu = " + gpus(5) + " }",
		"max_requests = 3000", "max_requests_jitter = 1000", `max_worker_lifetime = "7s"`, "max_failures = 5",
		fmt.Sprintf("bind_slot = [%q]", "unix:"+filepath.Join(dir, "{slot}.sock")), fmt.Sprintf("incidents = { dir = %q, keep = 10 }", filepath.Join(dir, "incidents")),
	}, lines...)...)
	t.Cleanup(func() {
		files, err := filepath.Glob(filepath.Join(dir, "incidents", "*.json"))
		t.Logf("%d incidents are in files, for %s", len(files), reasons(m))
		if err != nil || len(files) == 0 || len(files) > 10 {
			t.Errorf("%d files, %v", len(files), err)
		}
	})
	return m
}

// reasons are how often workers went, by the reason.
func reasons(m *master) string {
	n := map[string]int{}
	for _, e := range m.all(0, "worker gone", nil) {
		n[e.str("reason")]++
	}
	return fmt.Sprint(n)
}

func upSoakedPython(t *testing.T, lines ...string) *master {
	t.Helper()
	m := start(t, launch{
		config: config(append([]string{"command = ['app:app']", "chdir = '" + absolute(t, "testdata/soak") + "'"}, lines...)...),
		env:    []string{"VIRTUAL_ENV=" + pythonVenv(t), "PYTHONPATH=" + absolute(t, pythonPackage+"/src"), "PYTHONDONTWRITEBYTECODE=1"},
	})
	m.wait(t, 0, "ready", nil)
	return m
}

// Under load of all kinds, with reloads, kills and requests that never end, no
// request is lost but those in the hands of a killed worker.
func TestSoak(t *testing.T) {
	span := *soakSpan
	if testing.Short() {
		span /= 2
	}
	for _, one := range soaked {
		t.Run(one.name, func(t *testing.T) {
			m := one.up(t, "workers = 3", "surge = 3", `timeout = "1s"`, "[restart]", `reset_after = "1ms"`)
			soak(t, m, span, one.pace)
		})
	}
}

// soak is one of them.
func soak(t *testing.T, m *master, span, pace time.Duration) {
	t.Helper()
	books := &ledger{killed: map[string]time.Time{}}
	ctx, stop := context.WithTimeout(t.Context(), span)
	defer stop()
	var clients sync.WaitGroup
	results := make([]*load.Result, len(soakLoads))
	for i, one := range soakLoads {
		plan := one.plan
		plan.Addr, plan.Seen = m.addr(), func(a load.Answer) { books.see(one.name, a) }
		clients.Go(func() { results[i] = plan.Run(ctx) })
	}
	kills, reloads := 0, 0
	reload, kill := time.NewTicker(pace), time.NewTicker(pace*3/2)
	defer reload.Stop()
	defer kill.Stop()
	for ctx.Err() == nil {
		select {
		case <-reload.C:
			m.signal(syscall.SIGHUP)
			reloads++
		case <-kill.C:
			pids := slices.Collect(maps.Values(m.workers()))
			if len(pids) > 0 && books.kill(t, pids[rand.IntN(len(pids))]) {
				kills++
			}
		case <-ctx.Done():
		}
	}
	clients.Wait()
	complete, sent := 0, 0
	for i, one := range soakLoads {
		t.Logf("%s: %v", one.name, results[i])
		complete += results[i].Complete
		sent += results[i].Complete + results[i].Losses()
	}
	books.check(t, m)
	t.Logf("%d requests sent, %d complete, %d ended with 504, %d lost; %d workers killed with %d connections, %d reloads",
		sent, complete, books.ended, len(books.lost), kills, len(books.killed), reloads)
	if books.ended == 0 || kills == 0 || sent != complete+books.ended+len(books.lost) {
		t.Error("it does not add up")
	}

	if kib := memory(t, m.pid(), "Pss:"); kib > 16<<10 && !raceEnabled {
		t.Errorf("the master has %d KiB", kib)
	} else {
		t.Logf("the master has %d KiB", kib)
	}
	last := m.stopped(nil)
	// Those in flight on killed workers; one that never ended had its 504 before.
	if n := last.num("requests_lost"); n > len(books.lost)+books.ended {
		t.Errorf("the master counted %d lost requests, the clients %d", n, len(books.lost))
	}
	// The board counts a request when its handler has returned or it was ended, so
	// that a killed worker may have answered more than it counted or counted more than
	// it answered.
	if n := last.num("requests"); n < complete+books.ended-len(books.killed) || n > complete+books.ended+len(books.lost) {
		t.Errorf("the master counted %d requests", n)
	}
	if n := last.num("timeouts"); n < books.ended || n > books.ended+len(books.lost) {
		t.Errorf("the master counted %d timeouts, the clients %d", n, books.ended)
	}
}

// check finds the killed worker for each lost request, and what the master says of the
// one that it was lost on if that was not killed here, and about that time.
func (l *ledger) check(t *testing.T, m *master) {
	inFlight, after := 0, 0
	for _, a := range l.lost {
		at, ok := l.killed[a.Local]
		switch {
		case !ok:
			t.Errorf("lost, but no killed worker had it: %v at %v after %v, the last %v of it silent, worker process %d, connection %s, which had others before: %t, %v",
				a.Kind, a.Start.UTC().Format(time.RFC3339Nano), a.Took, a.Silence, a.Pid, a.Local, !a.First, a.Err)
			for _, e := range m.allEvents() {
				if near := e.at.Sub(a.Start.Add(a.Took)).Abs() < time.Second; near || a.Pid != 0 && e.num("pid") == a.Pid {
					t.Log(e.line)
				}
			}
		case a.Kind != load.NoAnswer && a.Kind != load.Cut && a.Kind != load.Write:
			t.Errorf("lost in a way that a kill does not explain: %v after %v, the last %v of it silent, %v", a.Kind, a.Took, a.Silence, a.Err)
		case a.Start.Before(at):
			inFlight++
		default: // the client had not yet noticed that its kept connection is dead
			after++
		}
	}
	t.Logf("lost: %d in flight on killed workers, %d sent to them afterwards", inFlight, after)
}
