//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"maps"
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

// suspend stops processes and returns when none of their threads runs.
func suspend(t testing.TB, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	for _, pid := range pids {
		eventually(t, fmt.Sprintf("process %d stops", pid), func() bool { return suspended(pid) })
	}
}

// suspended says whether all threads of a process are stopped.
func suspended(pid int) bool {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, path := range paths {
		stat, _ := os.ReadFile(path)
		if _, state, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return len(paths) > 0
}

// A worker that is stopped with a request in its hands cannot tell anybody. The
// board does; the worker and its children go, and the others serve.
func TestSuspendedWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	m := up(t, `timeout = "1s"`)
	_, body, err := m.get("/child")
	child, _ := strconv.Atoi(body)
	if err != nil || child == 0 {
		t.Fatalf("no child: %q, %v", body, err)
	}
	parent, _ := strconv.Atoi(status(child)["PPid"])

	// Streams until one of them is with the worker that has the child.
	var with []int
	for !slices.Contains(with, parent) {
		_, pids := streams(t, m.addr(), "/tokens?n=10000&d=60ms", 1)
		with = append(with, pids...)
	}
	suspend(t, parent)
	begin := time.Now()
	r := m.load(load.Plan{Connections: 2, Pause: 5 * time.Millisecond})
	e := m.wait(t, 0, "worker is stuck: a request does not end", match{"pid": parent, "path": "/tokens"})
	slot := e.num("slot")
	next := m.wait(t, 0, "worker started", match{"slot": slot, "reason": "timeout"})
	gone := m.wait(t, 0, "worker gone", match{"pid": parent, "reason": "timeout"})
	t.Logf("found after %v, replaced after %v, gone after %v: %s", e.at.Sub(begin), next.at.Sub(begin), gone.at.Sub(begin), gone.str("status"))
	if took := e.at.Sub(begin); took < limit || took > 10*2*limit {
		t.Errorf("found after %v, want 2s", took)
	}
	eventually(t, "the child goes with its worker", func() bool { return errors.Is(syscall.Kill(child, 0), syscall.ESRCH) })
	m.wait(t, 0, "worker ready", match{"pid": next.num("pid")})
	r.answeredBy(next.num("pid"))
	none(t, "the rest", r.end(), 50)
	if n := len(m.all(0, "worker is stuck: a request does not end", nil)); n != 1 {
		t.Errorf("%d workers are said to be stuck", n)
	}
}

// A stop asks a worker that is stuck for its stacks too, and is over in time.
func TestStopAsksStuckWorkerForStacks(t *testing.T) {
	t.Parallel()
	m := up(t, "workers = 1", `timeout = "1s"`, `graceful_timeout = "60s"`)
	pid := m.workers()[0]
	streams(t, m.addr(), "/tokens?n=10000&d=60ms", 1)
	suspend(t, pid)
	begin := time.Now()
	m.stopped(match{"requests_lost": 1})
	gone := m.wait(t, 0, "worker gone", match{"pid": pid, "reason": "stop"})
	t.Logf("gone after %v: %s", gone.at.Sub(begin), gone.str("status"))
	m.contains(t, "SIGABRT: abort")
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("the stop took %v, want 3s", took)
	}
}

// suspensions are who is stopped for some time beside the master.
var suspensions = []struct {
	name string
	pids func(*master) []int
}{
	{"master", func(m *master) []int { return []int{m.pid()} }},
	{"all", func(m *master) []int { return append(slices.Collect(maps.Values(m.workers())), m.pid()) }},
}

// A master that was stopped does not take what it missed for the fault of others, nor
// does a worker.
func TestSuspendedMasterPunishesNobody(t *testing.T) {
	for _, tc := range suspensions {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := up(t, `timeout = "1s"`, `watchdog = "1s"`)
			outlive(t, m, tc.pids, "/tokens?n=80&d=100ms", 6)
		})
		t.Run("Node, "+tc.name, func(t *testing.T) {
			t.Parallel()
			m := up(t, command(need(t, "node"), "protocols.cjs"), fmt.Sprintf("chdir = %q", nodeFolder(t, "protocols.cjs")), `timeout = "1s"`, `watchdog = "1s"`)
			outlive(t, m, tc.pids, "/tokens?n=80&ms=100", 6)
		})
	}
}

// outlive stops processes beside requests that take longer than that, and wants these
// to be answered by the workers that have them.
func outlive(t *testing.T, m *master, who func(*master) []int, path string, n int) {
	t.Helper()
	before := m.workers()
	tokens, _ := streams(t, m.addr(), path, n)
	r := m.load(load.Plan{Connections: 2, Pause: 5 * time.Millisecond})
	pids := who(m)
	suspend(t, pids...)
	<-time.After(3 * time.Second)
	slices.Reverse(pids) // the master is the first to look around
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGCONT)
	}
	for _, one := range take(t, n, tokens) {
		if !one.whole() {
			t.Errorf("a stream: %v", one)
		}
	}
	r.more(10)
	none(t, "meanwhile", r.end(), 50)
	if after := m.workers(); !maps.Equal(before, after) {
		t.Errorf("workers %v, before %v", after, before)
	}
	m.stopped(match{"timeouts": 0, "requests_lost": 0})
}

// A request whose answer takes two steps of half its limit is answered, however late the
// worker is for the first: it was not the request that took the time.
func TestLateWorkerPunishesNobody(t *testing.T) {
	t.Parallel()
	m := up(t, command(need(t, "node"), "protocols.cjs"), fmt.Sprintf("chdir = %q", nodeFolder(t, "protocols.cjs")), `timeout = "1s"`, admin("127.0.0.1:0"))
	answers := send(m.addr(), "/steps?n=2&ms=400", 4)
	m.inFlight(4)
	pids := suspensions[1].pids(m)
	suspend(t, pids...)
	<-time.After(3 * time.Second)
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGCONT)
	}
	for _, r := range take(t, 4, answers) {
		if r.status != 200 || r.took < 3*time.Second {
			t.Errorf("%v", r)
		}
	}
	m.stopped(match{"timeouts": 0, "requests_lost": 0})
}

// A worker without a request that gives no sign of life is found by its beat.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	m := up(t, `watchdog = "500ms"`)
	before := m.workers()
	suspend(t, before[1])
	begin := time.Now()
	e := m.wait(t, 0, "worker is stuck: no sign of life", match{"pid": before[1]})
	m.wait(t, 0, "worker started", match{"slot": 1, "reason": "watchdog"})
	gone := m.wait(t, 0, "worker gone", match{"pid": before[1], "reason": "watchdog"})
	t.Logf("found after %v, gone after %v: %s", e.at.Sub(begin), gone.at.Sub(begin), gone.str("status"))
	if took := e.at.Sub(begin); took < 500*time.Millisecond || took > 15*time.Second {
		t.Errorf("found after %v, want 1.5s", took)
	}
	m.wait(t, 0, "worker ready", match{"slot": 1, "generation": 1})
	if answer, _, err := m.get("/"); err != nil || answer.StatusCode != 200 {
		t.Errorf("no good answer: %v", err)
	}
	if after := m.workers(); after[0] != before[0] {
		t.Errorf("workers %v, before %v", after, before)
	}
	m.stopped(match{"requests_lost": 0})
}
