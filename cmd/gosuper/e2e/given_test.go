//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// family asks until it has the facts of n workers, by pid.
func (m *master) family(n int) map[int]facts {
	m.t.Helper()
	all := map[int]facts{}
	for range 10_000 {
		f := m.facts()
		if all[f.Pid] = f; len(all) == n {
			return all
		}
	}
	m.t.Fatalf("%d of %d workers answer", len(all), n)
	return nil
}

func TestWorkerEnvironment(t *testing.T) {
	t.Parallel()
	envFile := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(envFile, []byte("FROM_FILE=yes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := start(t, launch{
		env:  []string{"PLAIN=kept", "GOSUPER_KEEPALIVE=3s"},
		args: []string{"-e", "FROM_FLAG=flag"},
		config: config("workers = 3", fmt.Sprintf("env_file = %q", envFile), "[env]",
			`WHO = "slot {slot} place {place} id {id}"`, `BRACES = "{other} {{slot}}"`),
	})
	m.wait(t, 0, "ready", nil)
	slots := map[string]bool{}
	for pid, f := range m.family(3) {
		env := f.Env
		slots[env["GOSUPER_SLOT"]] = true
		who := fmt.Sprintf("slot %s place %s id %s", env["GOSUPER_SLOT"], env["GOSUPER_PLACE"], env["GOSUPER_WORKER_ID"])
		for name, want := range map[string]string{
			"WHO": who, "FROM_FILE": "yes", "FROM_FLAG": "flag", "PLAIN": "kept", "GOSUPER_GENERATION": "1",
			// The master's own settings are not passed on, and what concerns the worker alone was
			// taken out by it.
			"GOSUPER_KEEPALIVE": "", "LISTEN_PID": "", "GOSUPER_NOTIFY_FD": "", "GOSUPER_LIMIT_KEEPALIVE_MS": "",
		} {
			if env[name] != want {
				t.Errorf("%s=%q, want %q", name, env[name], want)
			}
		}
		if f.Pgid != pid || f.Session != pid || f.Ppid != m.pid() || f.Stdin != "/dev/null" {
			t.Errorf("process %d: session %d, group %d, parent %d (the master is %d), stdin %s", pid, f.Session, f.Pgid, f.Ppid, m.pid(), f.Stdin)
		}
		if dir, _ := filepath.EvalSymlinks(filepath.Dir(m.file)); f.Dir != dir {
			t.Errorf("folder %s, want %s", f.Dir, dir)
		}
	}
	if len(slots) != 3 || !slots["0"] || !slots["1"] || !slots["2"] {
		t.Errorf("slots %v", slots)
	}
}

// A slot keeps its number over crashes and reloads, a place is never shared by two
// living workers, and an id never used twice.
func TestSlotsAndPlaces(t *testing.T) {
	t.Parallel()
	m := up(t, "workers = 3", "surge = 2", "[restart]", `reset_after = "1ms"`)
	for i := range 12 {
		from := m.mark()
		if i%3 == 0 {
			m.reload()
			continue
		}
		slot := i % 3
		syscall.Kill(m.workers()[slot], syscall.SIGKILL)
		m.wait(t, from, "worker ready", match{"slot": slot})
	}
	taken := map[int]int{} // places by the worker that lives there
	for _, e := range m.allEvents() {
		id := e.num("worker")
		switch e.msg {
		case "worker started":
			place, slot := e.num("place"), e.num("slot")
			if place > 4 || slot > 2 {
				t.Errorf("place %d, slot %d of 3 workers and 2 more", place, slot)
			}
			for other, p := range taken {
				if p == place || other == id {
					t.Errorf("worker %d has place %d, which is that of %d", id, place, other)
				}
			}
			taken[id] = place
		case "worker gone", "worker crashed", "worker boot failed":
			delete(taken, id)
		}
	}
	if got := slices.Sorted(maps.Keys(m.workers())); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("slots %v", got)
	}
}

// Of the environment of the master workers get what env_pass says, after a reload
// what it says then, beside what they are given in any case.
func TestWorkerEnvironmentPass(t *testing.T) {
	t.Parallel()
	needRoot(t)
	lines := []string{`user = "65534"`, `chdir = "/usr"`, `env = { GIVEN = "1" }`}
	m := start(t, launch{
		config: config(append(lines, `env_pass = ["E2E_*"]`)...),
		env:    []string{"E2E_PASSED=1", "SECRET=1", "HOME=/root"},
	})
	m.wait(t, 0, "ready", nil)
	expect := func(passed, secret, path bool) {
		t.Helper()
		for _, f := range m.family(2) {
			for name, want := range map[string]bool{
				"E2E_PASSED": passed, "SECRET": secret, "PATH": path, "GIVEN": true, "GOSUPER_SLOT": true, "LISTEN_FDS": true, "HOME": true, "USER": true,
			} {
				if got := slices.Contains(f.Given, name); got != want {
					t.Errorf("%s is there: %v", name, got)
				}
			}
			if home := f.Env["HOME"]; home == "/root" {
				t.Error("HOME is that of the master")
			}
		}
	}
	expect(true, false, false)
	m.rewrite(config(append(lines, `env_pass = ["E2E_MARK", "*ECRET", "PATH"]`)...))
	m.reloads(1)
	expect(false, true, true)
	m.rewrite(config(lines...))
	m.reloads(1)
	expect(true, true, true)
}

// Limits, signals and identity of a worker are what was asked for, whatever the
// master was started with.
func TestWorkerCredentials(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m := up(t, `user = "65534"`, `group = "12"`, `umask = "027"`, `chdir = "/usr"`)
	for _, f := range m.family(2) {
		if f.Uid != 65534 || f.Gid != 12 || slices.Contains(f.Groups, 0) {
			t.Errorf("user %d, group %d, groups %v", f.Uid, f.Gid, f.Groups)
		}
		slices.Sort(f.Given)
		if once := slices.Compact(slices.Clone(f.Given)); len(once) != len(f.Given) {
			t.Errorf("variables are there twice: %v", f.Given)
		}
		if f.Umask != "0027" || f.Dir != "/usr" {
			t.Errorf("umask %s, folder %s", f.Umask, f.Dir)
		}
		if f.Env["USER"] == "root" || f.Env["HOME"] == "/root" || f.Env["LOGNAME"] != f.Env["USER"] {
			t.Errorf("HOME=%s USER=%s LOGNAME=%s", f.Env["HOME"], f.Env["USER"], f.Env["LOGNAME"])
		}
	}
}

// Under nohup, and with signals ignored by whoever started the master, workers have
// the default dispositions and an empty mask; and the soft limit of descriptors is
// the one that the master was started with, not what Go's runtime made of it.
func TestWorkerSignalsAndLimits(t *testing.T) {
	t.Parallel()
	before := []string{need(t, "nohup"), "sh", "-c", `trap "" INT QUIT TERM HUP PIPE USR1 USR2 CHLD; ulimit -Sn 512; exec "$@"`, "sh"}
	// A shell, as Go programs change both for themselves; and nothing but what is
	// built into it, for it blocks signals while it forks.
	look := `while read -r line; do case $line in Sig*) echo "$line" >&2;; esac; done </proc/$$/status; echo "NoFile: $(ulimit -Sn)" >&2; exec "$@"`
	m := start(t, launch{before: before, config: config("workers = 1", command("sh", "-c", look, "sh", plain))})
	m.wait(t, 0, "ready", nil)
	for _, want := range []string{"SigIgn:\t0000000000000000\n", "SigBlk:\t0000000000000000\n", "NoFile: 512\n"} {
		m.contains(t, want)
	}
	// The master takes its own signals back, too.
	m.signal(syscall.SIGHUP)
	m.wait(t, 0, "reload done", nil)
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// Workers hold no descriptor of the master's or of each other.
func TestWorkerDescriptors(t *testing.T) {
	t.Parallel()
	m := start(t, launch{config: config("workers = 2", command(plain), `bind = ["127.0.0.1:0", "127.0.0.2:0"]`)})
	m.wait(t, 0, "ready", nil)
	for _, pid := range m.workers() {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			t.Fatal(err)
		}
		var inherited []string
		for _, fd := range fds {
			n, _ := strconv.Atoi(fd.Name())
			target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, n))
			kind, _, _ := strings.Cut(target, ":")
			// stdin, stdout, stderr, two sockets, notify, board, fleet; what follows is
			// the program's own poller and its copy of the listener.
			if n > 7 && kind != "anon_inode" && kind != "socket" && !strings.HasPrefix(target, "/sys/fs/cgroup") {
				inherited = append(inherited, fd.Name()+" "+target)
			}
		}
		if len(inherited) > 0 {
			t.Errorf("worker %d holds %v", pid, inherited)
		}
	}
}
