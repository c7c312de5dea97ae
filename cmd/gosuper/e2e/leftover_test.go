//go:build linux

package e2e

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// leaving is a good worker with a child in a session of its own, which has the
// listening socket as well and outlives it.
func leaving() []string {
	return []string{"sh", "-c", "setsid sleep 1000 & exec " + strings.Join(as("serve"), " ")}
}

// sleepers are the children of such workers that are there.
func (m *master) sleepers() (pids []int) {
	for pid, what := range marked(m.tag) {
		if strings.HasPrefix(what, "sleep 1000") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// What a worker leaves behind ends with it, and with the master what is left then.
func TestLeftovers(t *testing.T) {
	m := up(t, command(leaving()...))
	eventually(t, "both have a child", func() bool { return len(m.sleepers()) == 2 })
	before := m.sleepers()
	m.reload()
	eventually(t, "the old ones are gone, the new ones are there", func() bool {
		after := m.sleepers()
		return len(after) == 2 && after[0] != before[0] && after[0] != before[1] && after[1] != before[0] && after[1] != before[1]
	})
	told := map[int]int{}
	for _, e := range m.count(t, 2, 0, "worker left a process behind, which is ended: see limits.outlive", match{"command": "sleep 1000"}) {
		told[e.num("pid")] = e.num("worker")
	}
	if len(told) != 2 || told[before[0]]+told[before[1]] != 1+2 {
		t.Errorf("left behind were %v, told was %v", before, told)
	}
	m.signal(syscall.SIGTERM)
	if status := m.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if left := marked(m.tag); len(left) > 0 {
		t.Errorf("the master has left %v behind", left)
	}
}

// What a script has started before it became the master is no worker's, over an upgrade
// too, whatever its environment says, and in a session of its own or not.
func TestLeftoversGuests(t *testing.T) {
	m := start(t, launch{
		config: config(command(leaving()...)),
		before: []string{"sh", "-c", `sleep 2000 & setsid sleep 2000 & exec "$@"`, "sh"},
		env:    []string{"GOSUPER_WORKER_ID=1000"},
	})
	guests := func() (pids []int) {
		for pid, what := range marked(m.tag) {
			if strings.HasPrefix(what, "sleep 2000") {
				pids = append(pids, pid)
			}
		}
		return pids
	}
	t.Cleanup(func() {
		for _, pid := range guests() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	m.wait(t, 0, "ready", nil)
	for range 2 {
		before := m.sleepers()
		m.reload()
		eventually(t, "what the old workers had is gone", func() bool {
			return len(m.sleepers()) == 2 && !slices.ContainsFunc(m.sleepers(), func(pid int) bool { return slices.Contains(before, pid) })
		})
		if n := len(guests()); n != 2 {
			t.Fatalf("%d of 2 guests have outlived workers", n)
		}
		m.upgrade()
	}
	m.signal(syscall.SIGTERM)
	if status := m.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if n := len(guests()); n != 2 || len(m.sleepers()) != 0 {
		t.Errorf("%d of 2 guests have outlived the master, and %d of workers", n, len(m.sleepers()))
	}
}

// Those that may live have the sockets still, and the next master finds the
// addresses free.
func TestLeftoversOutlive(t *testing.T) {
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port.Close()
	for _, bind := range []string{port.Addr().String(), "unix:" + filepath.Join(t.TempDir(), "socket")} {
		lines := []string{`bind = ["` + bind + `"]`, command(leaving()...), "[limits]", "outlive = true"}
		m := up(t, lines...)
		eventually(t, "both have a child", func() bool { return len(m.sleepers()) == 2 })
		m.signal(syscall.SIGTERM)
		if status := m.end(); status != 0 {
			t.Errorf("exit status %d", status)
		}
		if n := len(m.sleepers()); n != 2 {
			t.Errorf("%d of 2 outlive the master", n)
		}
		next := up(t, lines...)
		if _, body, err := next.get("/"); err != nil || body != "generation 1\n" {
			t.Errorf("the next master at %s: %q, %v", bind, body, err)
		}
		next.signal(syscall.SIGTERM)
		next.end()
		for _, pid := range append(m.sleepers(), next.sleepers()...) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// A command that goes into the background is no worker, and does not stay.
func TestLeftoversDaemon(t *testing.T) {
	m := start(t, launch{config: config(command("sh", "-c", "setsid sh -c 'sleep 1000; :' & exit 0"))})
	if status := m.end(); status != 3 {
		t.Errorf("exit status %d", status)
	}
	if left := marked(m.tag); len(left) > 0 {
		t.Errorf("the master has left %v behind", left)
	}
	m.await(t, "the hint", func() bool { return strings.Contains(m.String(), "must stay in the foreground") })
}

// A shell without exec gets the stop signal itself, and its death is the end of the
// server it has started.
func TestLeftoversWrapped(t *testing.T) {
	m := up(t, command("sh", "-c", plain+" & wait"))
	m.signal(syscall.SIGTERM)
	if status := m.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if n := len(m.all(0, diedAlone, nil)); n != 1 {
		t.Errorf("warned %d times", n)
	}
}

const diedAlone = "worker ended at its stop signal before the processes it had started, which are killed with all they were doing: " +
	"only the first process of a worker gets the signal; a shell script starts its server by exec"

// A helper that ignores the stop signal, as Python's multiprocessing has one, was not
// serving anybody.
func TestLeftoversHelper(t *testing.T) {
	m := up(t, command("sh", "-c", "(trap '' TERM; exec sleep 1000) & exec "+plain))
	m.signal(syscall.SIGTERM)
	if status := m.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if lines := m.all(0, diedAlone, nil); len(lines) > 0 {
		t.Errorf("warned of a helper: %s", lines[0].line)
	}
}
