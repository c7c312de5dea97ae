//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
	"github.com/gosuper/gosuper/supervisor/control"
)

// nextVersion is what the other binary says that it is.
const nextVersion = "v9.9.9-next"

// next builds another version of gosuper.
var next = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programs, "gosuper-next")
	args := []string{"build", "-o", path, "-ldflags", "-X main.release=" + nextVersion}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "..")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the next version: %w\n%s", err, out)
	}
	return path, nil
})

// install puts a program where a master will find its next version, in one
// step, as deployments do.
func install(t testing.TB, program, at string) {
	t.Helper()
	fresh := at + ".new"
	if err := copyFile(fresh, program); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, at); err != nil {
		t.Fatal(err)
	}
}

// upgradable starts a master that can be upgraded, and waits until it is ready.
func upgradable(t testing.TB, lines ...string) (m *master, binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "gosuper")
	install(t, gosuper, binary)
	m = start(t, launch{config: config(lines...), binary: binary})
	m.wait(t, 0, "ready", nil)
	return m, binary
}

// upgrade upgrades a master in place, and checks that it is the version that is
// installed and nobody was restarted.
func (m *master) upgrade() {
	m.t.Helper()
	before, from := m.workers(), m.mark()
	m.signal(syscall.SIGUSR2)
	e := m.wait(m.t, from, "upgraded", nil)
	if e.num("pid") != m.pid() {
		m.t.Errorf("the master was process %d and is %d", m.pid(), e.num("pid"))
	}
	if after := m.workers(); !maps.Equal(before, after) {
		m.t.Errorf("the workers were %v and are %v", before, after)
	}
	// Which is what ps, pgrep and killall go by.
	exe, name := m.executable(), status(m.pid())["Name"]
	if want := filepath.Base(exe); exe != "" && name != want[:min(len(want), 15)] {
		m.t.Errorf("the master is called %q and executes %q", name, exe)
	}
}

// executable is the program that the master executes, "" if this is not root, who
// alone may look into it.
func (m *master) executable() string {
	m.t.Helper()
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", m.pid()))
	if err != nil && !(os.Getuid() != 0 && errors.Is(err, os.ErrPermission)) {
		m.t.Fatal(err)
	}
	return strings.TrimSuffix(exe, " (deleted)")
}

func TestUpgradesLoseNothing(t *testing.T) {
	other, err := next()
	if err != nil {
		t.Fatal(err)
	}
	access := filepath.Join(t.TempDir(), "access.log")
	line, path := controlled(t)
	m, binary := upgradable(t, line, admin("127.0.0.1:0"), "[log]", fmt.Sprintf("access_file = %q", access), `access_format = "json"`)
	watched := m.watched(path)
	begin := time.Now()
	const upgrades = 4
	span := tenth(9 * time.Second)
	workers := m.workers()
	r := m.load(load.Plan{Connections: 8, Mode: load.NewConnection})
	for i := range upgrades {
		<-time.After(time.Until(begin.Add(time.Duration(i) * span / upgrades)))
		program, version := other, nextVersion
		if i%2 == 1 {
			program, version = gosuper, m.wait(t, 0, "starting", nil).str("version")
		}
		install(t, program, binary)
		from := m.mark()
		m.upgrade()
		if got := m.wait(t, from, "upgraded", nil).str("version"); got != version {
			t.Errorf("upgrade %d is to version %s, want %s", i, got, version)
		}
		r.more(20)
	}
	<-time.After(time.Until(begin.Add(span)))
	result := r.end()
	none(t, "four upgrades", result, tenth(5000))
	t.Logf("status and metrics were asked for %d times meanwhile", watched())
	if now := m.workers(); !maps.Equal(now, workers) {
		t.Errorf("the workers were %v and are %v", workers, now)
	}

	// What came before goes on as ever.
	m.reload()
	pid := m.workers()[1]
	from := m.mark()
	syscall.Kill(pid, syscall.SIGKILL)
	m.wait(t, from, "worker crashed", match{"pid": pid, "status": "killed by SIGKILL"})
	m.wait(t, from, "worker ready", match{"slot": 1})
	m.signal(syscall.SIGTTOU)
	m.wait(t, from, "worker gone", match{"reason": "scale"})
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	total := m.wait(t, 0, "stopped", nil).num("requests")
	if total < result.Complete {
		t.Errorf("%d requests were counted, %d answered", total, result.Complete)
	}
	text, err := os.ReadFile(access)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != total {
		t.Errorf("the access log has %d lines for %d requests", len(lines), total)
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Fatalf("a torn line in the access log: %q", line)
		}
	}
}

// watched asks a master for its status and its metrics all the time until over is
// called, which returns how often. It fails the test where there is no answer, or
// one that takes something back.
func (m *master) watched(path string) (over func() int) {
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { done <- n }()
		last := control.Status{Counters: control.Counters{Requests: new(uint64)}}
		var total float64
		for {
			select {
			case <-stop:
				return
			default:
			}
			st, err := control.NewClient(path).Status(m.t.Context(), false)
			if err != nil {
				m.t.Errorf("no status: %v", err)
				return
			}
			if st.PID != m.pid() || st.UptimeSeconds < last.UptimeSeconds || *st.Counters.Requests < *last.Counters.Requests {
				m.t.Errorf("status %+v after %+v", st, last)
			}
			last = st
			if now := m.samples()["gosuper_requests_total{code=\"2xx\"}"]; now < total {
				m.t.Errorf("%v requests after %v", now, total)
			} else {
				total = now
			}
			n++
		}
	}()
	return func() int {
		close(stop)
		return <-done
	}
}

// Whatever is wrong with the new version, the old one goes on.
func TestUpgradesThatAreRefused(t *testing.T) {
	t.Parallel()
	script := func(text string, mode os.FileMode) func(*testing.T, *master, string) {
		return func(t *testing.T, _ *master, binary string) {
			if err := os.WriteFile(binary+".new", []byte(text), mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(binary+".new", binary); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name    string
		prepare func(t *testing.T, m *master, binary string)
		problem string
		words   string
	}{
		{"it fails", script("#!/bin/sh\necho no such luck >&2\nexit 1\n", 0o755), "exit status 1", "no such luck"},
		{"it is another program", script("#!/bin/sh\nexit 0\n", 0o755), "is not a gosuper", ""},
		{"it cannot be executed", script("#!/bin/sh\n", 0o644), "is not executable", ""},
		{"it is not there", func(t *testing.T, _ *master, binary string) {
			if err := os.Remove(binary); err != nil {
				t.Fatal(err)
			}
		}, "no such file", ""},
		{"it is half of a file", func(t *testing.T, _ *master, binary string) {
			text, err := os.ReadFile(gosuper)
			if err != nil {
				t.Fatal(err)
			}
			script(string(text[:len(text)/2]), 0o755)(t, nil, binary)
		}, "cannot go on", ""},
		{"the files say something else by now", func(_ *testing.T, m *master, _ string) {
			m.rewrite(config("workerz = 3"))
		}, "exit status 2", "workerz"},
		{"it hangs", script("#!/bin/sh\nexec sleep 600\n", 0o755), "does not say within 10s", ""},
		{"a worker is missing", func(t *testing.T, m *master, _ string) {
			from := m.mark()
			m.rewrite(config(`command = ["/bin/sleep", "600"]`, `ready = "notify"`))
			m.signal(syscall.SIGHUP)
			m.wait(t, from, "worker started", nil)
		}, "a reload is under way", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m, binary := upgradable(t)
			before := m.workers()
			test.prepare(t, m, binary)
			from := m.mark()
			m.signal(syscall.SIGUSR2)
			e := m.wait(t, from, "upgrade refused, nothing was changed", nil)
			if !strings.Contains(e.str("error"), test.problem) || !strings.Contains(e.str("last_lines"), test.words) {
				t.Errorf("refused with %q and the lines %q, want %q and %q", e.str("error"), e.str("last_lines"), test.problem, test.words)
			}
			if after := m.workers(); !maps.Equal(before, after) {
				t.Errorf("the workers were %v and are %v", before, after)
			}
			if _, _, err := m.get("/"); err != nil {
				t.Error(err)
			}
			if exe := m.executable(); exe != "" && exe != binary {
				t.Errorf("the master is %s", exe)
			}
		})
	}
}
