//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// A worker that is killed is being replaced within milliseconds, and the others
// answer all the while. On a machine of its own the median is below 5 ms; the
// bounds allow for what else the machine does.
func TestKilledWorkerIsReplaced(t *testing.T) {
	const usual, most = 20 * time.Millisecond, 500 * time.Millisecond
	m := up(t, "workers = 4", "[restart]", `reset_after = "1ms"`)
	var took []time.Duration
	// One round of three is enough.
	for range 3 {
		if took = m.killTwenty(t); raceEnabled || median(took) <= usual && took[len(took)-1] <= most {
			return
		}
	}
	t.Errorf("want a median of %v, and none over %v: %v", usual, most, took)
}

// killTwenty kills a worker twenty times and returns how long each took from
// the kill to the next spawn, in ascending order.
func (m *master) killTwenty(t *testing.T) (took []time.Duration) {
	t.Helper()
	r := m.load(load.Plan{Connections: 1, Pause: 5 * time.Millisecond})
	var noticed []time.Duration
	for i := range 20 {
		slot := i % 4
		pid := m.workers()[slot]
		from := m.mark()
		begin := time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		took = append(took, m.wait(t, from, "worker started", match{"slot": slot, "reason": "crash"}).at.Sub(begin))
		crashed := m.wait(t, from, "worker crashed", match{"pid": pid})
		noticed = append(noticed, crashed.at.Sub(begin))
		if crashed.str("status") != "killed by SIGKILL" {
			t.Errorf("the worker's status is %q", crashed.str("status"))
		}
		m.wait(t, from, "worker ready", match{"slot": slot})
	}
	result := r.end()
	t.Logf("load: %v; longest time without an answer %v", result, r.longest)
	// Those that a killed worker had in its hands are lost, and nothing else.
	if n := result.Losses(); n > 20 || n != result.Lost[load.NoAnswer]+result.Lost[load.Cut]+result.Lost[load.Write] {
		t.Errorf("%d requests were lost", n)
	}
	if r.longest > 5*time.Second {
		t.Errorf("nobody answered for %v", r.longest)
	}
	slices.Sort(took)
	slices.Sort(noticed)
	t.Logf("from SIGKILL to the next spawn: median %v, worst %v; to its line in the log: median %v", median(took), took[len(took)-1], median(noticed))
	return took
}

// A fleet that cannot boot ends with 3 and the worker's last lines, every time.
func TestBootFailure(t *testing.T) {
	t.Parallel()
	for range tenth(20) {
		m := start(t, launch{config: config(command(as("crash", "m.gguf")...), "[restart]", `backoff_min = "1ms"`)})
		if code := m.end(); code != 3 {
			t.Fatalf("exit status %d, want 3", code)
		}
		m.contains(t, "gosuper: error: the first workers could not boot: worker ")
		m.contains(t, "its last lines:\n  loading the model\n  cannot find the model m.gguf\n")
	}
}

// A slot that crashes again and again is tried ever more rarely, does not touch
// the others, and comes back when the cause is gone.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	curse := filepath.Join(t.TempDir(), "curse")
	m := up(t, command(as("serve", curse)...), "[restart]", `backoff_max = "2s"`)
	before := m.workers()
	if err := os.WriteFile(curse, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	from := m.mark()
	syscall.Kill(before[1], syscall.SIGKILL)
	m.wait(t, from, "worker crashed", match{"pid": before[1]})
	r := m.load(load.Plan{Connections: 2, Mode: load.KeepAlive, Pause: time.Millisecond})

	// The spawns: at once, then after 50..100ms, 100..200ms, ... 1..2s, 1..2s.
	failed := m.count(t, 7, from, "worker boot failed", match{"slot": 1})
	window := failed[6].at.Sub(failed[0].at)
	t.Logf("7 boots failed within %v", window)
	if least := (50 + 100 + 200 + 400 + 800 + 1000) * time.Millisecond; window < least {
		t.Errorf("7 boots failed within %v, want at least %v", window, least)
	}
	for i, e := range failed {
		if !strings.Contains(e.str("last_lines"), "slot 1 is cursed") {
			t.Errorf("last lines %v", e.fields["last_lines"])
		}
		backoff, _ := time.ParseDuration(e.str("backoff"))
		if low, high := min(50<<i, 1000), min(100<<i, 2000); backoff < time.Duration(low)*time.Millisecond || backoff > time.Duration(high)*time.Millisecond {
			t.Errorf("backoff %d is %v, want %d to %dms", i, backoff, low, high)
		}
	}
	if err := os.Remove(curse); err != nil {
		t.Fatal(err)
	}
	m.wait(t, from, "worker ready", match{"slot": 1})
	none(t, "load", r.end(), 100)
	if after := m.workers(); after[0] != before[0] || after[1] == before[1] || len(after) != 2 {
		t.Errorf("workers %v, before %v", after, before)
	}
}

// refusals are new configurations that must not come into force.
var refusals = []struct {
	name  string
	lines func(dir string) []string
	msg   string // of the event that says so
	key   string // of the field that says why
	why   []string
}{
	{
		"unknown key", func(string) []string { return []string{"wokers = 3"} },
		"reload refused, nothing was changed", "error",
		[]string{"supervisor.toml:", "wokers", "workers"},
	},
	{
		"no such command", func(dir string) []string { return []string{command(dir + "/missing")} },
		"reload refused, nothing was changed", "error",
		[]string{"missing"},
	},
	{"not a program", func(dir string) []string {
		path := filepath.Join(dir, "text")
		os.WriteFile(path, []byte("no program\n"), 0o755)
		return []string{command(path)}
	}, "reload rolled back", "last_lines", []string{"exec format error"}},
	{
		"crash at boot", func(string) []string { return []string{command(as("crash", "m.gguf")...)} },
		"reload rolled back", "last_lines",
		[]string{"loading the model", "cannot find the model m.gguf"},
	},
	{"never ready", func(string) []string {
		return []string{command(as("hang")...), fmt.Sprintf("startup_timeout = %q", bootTime), `ready = "notify"`}
	}, "reload rolled back", "last_lines", []string{"hanging"}},
	{"never ready, and why", func(string) []string {
		return []string{command(as("hang")...), fmt.Sprintf("startup_timeout = %q", bootTime), `ready = "notify"`}
	}, "reload rolled back", "status", []string{"no READY=1 within startup_timeout"}},
	{
		"impossible address", func(string) []string { return []string{`bind = ["127.0.0.1:1", "256.0.0.1:80"]`} },
		"reload refused, nothing was changed", "error",
		[]string{"256.0.0.1"},
	},
}

// A reload that fails leaves the workers alone, loses nothing and says why; and a
// worker that crashes afterwards comes back as it was.
func TestRefusedReloads(t *testing.T) {
	t.Parallel()
	for _, tc := range refusals {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := up(t)
			before := m.workers()
			r := m.load(load.Plan{Connections: 4, Mode: load.KeepAlive, Pause: 2 * time.Millisecond})
			from := m.mark()
			m.rewrite(config(tc.lines(t.TempDir())...))
			m.signal(syscall.SIGHUP)
			e := m.wait(t, from, tc.msg, nil)
			for _, why := range tc.why {
				if !strings.Contains(e.str(tc.key), why) {
					t.Errorf("%s does not name %q: %s", tc.key, why, e.line)
				}
			}
			r.more(50)
			none(t, "load", r.end(), 50)
			if after := m.workers(); after[0] != before[0] || after[1] != before[1] || len(after) != 2 {
				t.Errorf("workers %v, before %v", after, before)
			}
			from = m.mark()
			syscall.Kill(before[0], syscall.SIGKILL)
			m.wait(t, from, "worker ready", match{"slot": 0, "generation": 1})
			if answer, _, err := m.get("/"); err != nil || answer.StatusCode != 200 {
				t.Errorf("no good answer: %v", err)
			}
		})
	}
}

// A rollout that fails half-way is rolled back: workers that were retired come
// back with the old configuration.
func TestRollBack(t *testing.T) {
	t.Parallel()
	curse := filepath.Join(t.TempDir(), "curse")
	if err := os.WriteFile(curse, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := up(t, "[restart]", `backoff_min = "10ms"`)
	before := m.workers()
	r := m.load(load.Plan{Connections: 4, Mode: load.KeepAlive, Pause: 2 * time.Millisecond})
	m.rewrite(config(command(as("serve", curse)...), "[restart]", `backoff_min = "10ms"`))
	from := m.mark()
	m.signal(syscall.SIGHUP)
	m.wait(t, from, "configuration in force", match{"reason": "reload"})
	e := m.wait(t, from, "reload rolled back", nil)
	if !strings.Contains(e.str("last_lines"), "slot 1 is cursed") {
		t.Errorf("last lines: %s", e.line)
	}
	m.wait(t, from, "worker ready", match{"slot": 0, "generation": 1})
	m.wait(t, from, "worker draining", match{"slot": 0, "generation": 2, "reason": "rollback"})
	r.more(50)
	none(t, "load", r.end(), 50)
	after := m.workers()
	if after[1] != before[1] || len(after) != 2 {
		t.Errorf("workers %v, before %v", after, before)
	}
	if n := len(m.all(from, "worker boot failed", match{"slot": 1})); n != 3 {
		t.Errorf("%d boots failed, want 3", n)
	}
}

// Versions in folders behind a symbolic link come back whole.
func TestRollBackBehindSymlink(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	current, v1, v2 := filepath.Join(root, "current"), filepath.Join(root, "v1"), filepath.Join(root, "v2")
	for _, dir := range []string{v1, v2} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyFile(filepath.Join(v1, "app"), self); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(v2, "app"), []byte("#!/bin/sh\necho v2 is broken >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	point := func(to string) {
		os.Remove(current)
		if err := os.Symlink(to, current); err != nil {
			t.Fatal(err)
		}
	}
	point("v1")
	m := up(t, fmt.Sprintf("chdir = %q", current), command(append([]string{"./app"}, as("serve")[1:]...)...))
	before := m.workers()
	point("v2")
	from := m.mark()
	m.signal(syscall.SIGHUP)
	if e := m.wait(t, from, "reload rolled back", nil); !strings.Contains(e.str("last_lines"), "v2 is broken") {
		t.Errorf("last lines: %s", e.line)
	}
	syscall.Kill(before[0], syscall.SIGKILL)
	syscall.Kill(before[1], syscall.SIGKILL)
	m.wait(t, from, "worker ready", match{"slot": 0})
	m.wait(t, from, "worker ready", match{"slot": 1})
	if f := m.facts(); f.Dir != v1 {
		t.Errorf("a worker came back in %s, want %s", f.Dir, v1)
	}
}
