//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Orphans, of which workers leave some behind, are reaped by the master and not
// mistaken for workers: as a subreaper, and as the first process of a pid
// namespace, where everybody's orphans are its own.
func TestOrphans(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before []string
	}{
		{"subreaper", nil},
		{"pid 1", []string{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.before != nil {
				needRoot(t)
				need(t, tc.before[0])
			}
			m := start(t, launch{before: tc.before, config: config("workers = 2", "[log]", `level = "debug"`)})
			m.wait(t, 0, "ready", nil)
			if pid := m.wait(t, 0, "starting", nil).num("pid"); tc.before != nil && pid != 1 {
				t.Errorf("the master is process %d", pid)
			}
			pid := m.pid()
			if tc.before != nil {
				pid = children(t, pid)[0]
			}
			m.reapsOrphans(t, "/orphan", pid)
			for _, e := range m.all(0, "worker started", nil) {
				if e.str("reason") != "start" {
					t.Errorf("an orphan was taken for a worker: %s", e.line)
				}
			}
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := m.end(); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

// reapsOrphans asks workers ten times for five orphans each, and sees that the
// master, a process seen from here, is left with its two workers.
func (m *master) reapsOrphans(t *testing.T, path string, pid int) {
	t.Helper()
	for range 10 {
		if answer, body, err := m.get(path); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%v %s", err, body)
		}
	}
	reaped := 0
	// Others may be among them, of those who came in by docker exec.
	m.await(t, "50 orphans reaped, and nobody left but two workers", func() bool {
		reaped = 0
		for _, e := range m.all(0, "reaped orphans", nil) {
			reaped += e.num("count")
		}
		return reaped >= 50 && len(children(t, pid)) == 2
	})
}

// The master of a pid namespace that is killed takes everything with it.
func TestPID1Killed(t *testing.T) {
	t.Parallel()
	needRoot(t)
	need(t, "unshare")
	m := start(t, launch{before: []string{"unshare", "--pid", "--fork", "--mount-proc"}, config: config(command(as("deaf")...))})
	m.wait(t, 0, "ready", nil)
	if err := syscall.Kill(children(t, m.pid())[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.end()
	t.Logf("the last worker was gone after %v", m.gone(late))
}

// children are the child processes of all threads of a process, zombies included.
func children(t *testing.T, pid int) (all []int) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		for word := range strings.FieldsSeq(string(text)) {
			child, _ := strconv.Atoi(word)
			all = append(all, child)
		}
	}
	return all
}

// need skips a test whose tool the machine lacks.
func need(t *testing.T, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Skip(err)
	}
	return path
}
