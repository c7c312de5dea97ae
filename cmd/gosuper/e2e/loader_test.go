//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
)

// forked is what a worker says of itself that testdata/loader has made.
type forked struct {
	PID, PPID, Session, Group, Loader, UID, GID, Umask, Core int

	Groups      []int
	Cwd, Stdin  string
	DeathSignal int `json:"death_signal"`
	Env         map[string]string
	Fds         []int
	Slot, Shard string
}

// forkedFacts asks a worker about itself.
func (m *master) forkedFacts() (f forked) {
	m.t.Helper()
	_, body, err := m.get("/")
	if err == nil {
		err = json.Unmarshal([]byte(body), &f)
	}
	if err != nil {
		m.t.Fatalf("%v: %s", err, body)
	}
	return f
}

// loaderScript copies one of testdata/loader to where every user may read it.
func loaderScript(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(programs, name)
	if err := copyFile(path, filepath.Join("testdata/loader", name)); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	return path
}

// preloaded is a master whose loader does what is written to a file.
type preloaded struct {
	*master
	mischief string
}

// preload starts a master with the loader that can be told what to do, and does not
// wait for it.
func preload(t testing.TB, how string, lines ...string) *preloaded {
	t.Helper()
	p := &preloaded{mischief: filepath.Join(t.TempDir(), "mischief")}
	p.do(t, how)
	lines = append([]string{command("/usr/bin/python3", loaderScript(t, "loader.py"), p.mischief), "preload = true", `ready = "notify"`}, lines...)
	p.master = start(t, launch{config: config(lines...)})
	return p
}

// do has the loader do something from now on; "": what it should.
func (p *preloaded) do(t testing.TB, how string) {
	t.Helper()
	if err := os.WriteFile(p.mischief, []byte(how), 0o644); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(p.mischief); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// kill kills a worker that is ready, and returns the mark before that.
func (p *preloaded) kill(t testing.TB, slot int) (from int) {
	t.Helper()
	pid := p.workers()[slot]
	from = p.mark()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	return from
}

// A forked worker is given what one is that was executed, and belongs to the master.
func TestPreload(t *testing.T) {
	t.Parallel()
	p := preload(t, "", "umask = \"027\"", `chdir = "/"`, `env = { SHARD = "s{slot}", SAME = "x" }`, "[limits]", "core = 4096")
	loader := p.wait(t, 0, "loader ready", nil).num("pid")
	p.wait(t, 0, "ready", nil)
	f := p.forkedFacts()
	slot := f.Env["GOSUPER_SLOT"]
	for _, fact := range []struct {
		what  string
		holds bool
	}{
		{"parent", f.PPID == p.pid()},
		{"loader", f.Loader == loader},
		{"session", f.Session == f.PID && f.Group == f.PID},
		{"death signal", f.DeathSignal == int(syscall.SIGKILL)},
		{"umask", f.Umask == 0o27},
		{"folder", f.Cwd == "/"},
		{"limit", f.Core == 4096},
		{"stdin", f.Stdin == "/dev/null"},
		{"LISTEN_PID", f.Env["LISTEN_PID"] == fmt.Sprint(f.PID)},
		{"LISTEN_FDS", f.Env["LISTEN_FDS"] == "1"},
		{"env", f.Env["SHARD"] == "s"+slot && f.Env["SAME"] == "x"},
		{"slot", p.workers()[map[string]int{"0": 0, "1": 1}[slot]] == f.PID},
		{"what is the loader's", f.Env["GOSUPER_LOADER_FD"] == "" && f.Env["GOSUPER_MASTER_PID"] == ""},
		{"limits for itself", f.Env["GOSUPER_LIMIT_TIMEOUT_MS"] == "120000" && f.Env["GOSUPER_GENERATION"] == "1"},
	} {
		if !fact.holds {
			t.Errorf("%s: %+v", fact.what, f)
		}
	}
	for _, name := range []string{"GOSUPER_NOTIFY_FD", "GOSUPER_SCOREBOARD_FD", "GOSUPER_FLEET_FD"} {
		var fd int
		if fmt.Sscan(f.Env[name], &fd); fd < 4 || !slices.Contains(f.Fds, fd) {
			t.Errorf("%s is %q of %v", name, f.Env[name], f.Fds)
		}
	}
	// One that ends is replaced from the same loader, which is another one after a reload.
	from := p.kill(t, 0)
	p.wait(t, from, "worker ready", match{"slot": 0})
	if f := p.forkedFacts(); f.Loader != loader {
		t.Errorf("forked from %d, want %d", f.Loader, loader)
	}
	from = p.mark()
	p.reload()
	second := p.wait(t, from, "loader ready", match{"generation": 2}).num("pid")
	p.wait(t, from, "loader gone", match{"pid": loader, "status": "exit status 0"})
	if f := p.forkedFacts(); f.Loader != second {
		t.Errorf("forked from %d, want %d", f.Loader, second)
	}
	from = p.mark()
	p.signal(syscall.SIGTERM)
	if code := p.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	p.wait(t, from, "loader gone", match{"pid": second})
}

// The protocol is not Python's.
func TestPreloadPerl(t *testing.T) {
	t.Parallel()
	m := up(t, command("perl", loaderScript(t, "loader.pl")), "preload = true", `ready = "notify"`, `env = { SHARD = "s{slot}" }`)
	loader := m.wait(t, 0, "loader ready", nil).num("pid")
	f := m.forkedFacts()
	if f.Loader != loader || f.Shard != "s"+f.Slot || !slices.Contains([]int{m.workers()[0], m.workers()[1]}, f.PID) {
		t.Errorf("%+v", f)
	}
	from := m.mark()
	m.reload()
	m.wait(t, from, "loader gone", match{"pid": loader, "status": "exit status 0"})
	if f := m.forkedFacts(); f.Loader == loader {
		t.Errorf("after a reload: %+v", f)
	}
}

// The loader is in the status, and its memory is that of the fleet.
func TestLoaderStatus(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "control")
	p := preload(t, "threads", fmt.Sprintf("control = { socket = %q }", socket))
	p.wait(t, 0, "ready", nil)
	loader := p.wait(t, 0, "loader ready", nil).num("pid")
	st, _ := asked(t, socket, false)
	if len(st.Loaders) != 1 {
		t.Fatalf("there are the loaders %+v", st.Loaders)
	}
	if l := st.Loaders[0]; *l.PID != loader || l.Generation != 1 || l.State != "ready" || l.MemoryBytes < 1<<20 || l.Forks != 2 || l.Status != "2 threads run" {
		t.Errorf("the loader is %+v", l)
	}
}

// A loader that cannot load the application is a boot that failed, and a reload that
// changes nothing.
func TestLoaderFails(t *testing.T) {
	t.Parallel()
	p := preload(t, "broken", "[restart]", `backoff_min = "1ms"`, `backoff_max = "1ms"`)
	if code := p.end(); code != 3 {
		t.Errorf("exit status %d, want 3", code)
	}
	p.contains(t, "gosuper: error: the application could not be loaded: loader: exit status 1; its last lines:\n  cannot find the model\n")

	p = preload(t, "")
	p.wait(t, 0, "ready", nil)
	before := p.workers()
	loader := p.wait(t, 0, "loader ready", nil).num("pid")
	p.do(t, "broken")
	from := p.mark()
	p.signal(syscall.SIGHUP)
	e := p.wait(t, from, "reload rolled back", match{"status": "exit status 1"})
	if !strings.Contains(e.str("last_lines"), "cannot find the model") {
		t.Errorf("the last lines are %v", e.fields["last_lines"])
	}
	p.do(t, "")
	from = p.kill(t, 0)
	p.wait(t, from, "worker ready", match{"slot": 0})
	if after := p.workers(); after[1] != before[1] || p.forkedFacts().Loader != loader {
		t.Errorf("before %v, after %v", before, after)
	}
}

// Workers that wait for a loader which fails again and again are told so, with what to do.
func TestLoaderCrashLoop(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "control")
	p := preload(t, "", fmt.Sprintf("control = { socket = %q }", socket), admin("127.0.0.1:0"), "[restart]", `backoff_min = "1s"`, `backoff_max = "1s"`)
	p.wait(t, 0, "ready", nil)
	loader := p.wait(t, 0, "loader ready", nil).num("pid")
	p.do(t, "broken")
	from := p.mark()
	if err := syscall.Kill(loader, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait(t, from, "loader ended, its workers live on", match{"pid": loader, "reason": "crash"})
	p.kill(t, 0)
	p.count(t, 2, from, "loader failed", match{"reason": "startup", "status": "exit status 1"})
	st, _ := asked(t, socket, false)
	l := st.LoaderFailing
	if l == nil || l.Failures < 3 || l.Status != "exit status 1" || !slices.Contains(l.LastLines, "cannot find the model") || !strings.Contains(l.Hint, "gosuper reload") {
		t.Errorf("the loader fails so: %+v", l)
	}
	if r := st.Counters.LoaderRestarts; st.Condition != control.FleetCrashLoop || r[control.Crash] != 1 || r[control.Startup] < 1 {
		t.Errorf("%s, loaders were started again %v", st.Condition, r)
	}
	p.kill(t, 1)
	eventually(t, "nobody is ready", func() bool {
		status, body := fetch(t, p.adminAddr(), "/health/ready")
		return status == http.StatusServiceUnavailable && strings.HasPrefix(body, "no worker is ready: the loader failed ")
	})
	p.do(t, "")
	p.reload()
	if st, _ = asked(t, socket, false); st.LoaderFailing != nil || st.Condition != control.FleetReady {
		t.Errorf("%s, and the loader fails so: %+v", st.Condition, st.LoaderFailing)
	}
}

// A command that is no loader is told what it would have to be.
func TestNoLoader(t *testing.T) {
	t.Parallel()
	p := preload(t, "plain", `startup_timeout = "500ms"`, "[restart]", `backoff_min = "1ms"`, `backoff_max = "1ms"`)
	if code := p.end(); code != 3 {
		t.Errorf("exit status %d, want 3", code)
	}
	p.contains(t, "has to speak the loader protocol")
	p.contains(t, "loader.py\", line")
}

// A loader that is killed is started again when a worker is needed, and not before.
func TestLoaderKilled(t *testing.T) {
	t.Parallel()
	p := preload(t, "threads")
	p.wait(t, 0, "ready", nil)
	said := p.count(t, 1, 0, "loader says", match{"status": "2 threads run"})
	if len(said) != 1 {
		t.Errorf("it is logged %d times that threads run", len(said))
	}
	loader, before := p.wait(t, 0, "loader ready", nil).num("pid"), p.workers()
	from := p.mark()
	if err := syscall.Kill(loader, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait(t, from, "loader ended, its workers live on", match{"pid": loader, "status": "killed by SIGKILL"})
	if f := p.forkedFacts(); f.PID != before[0] && f.PID != before[1] {
		t.Errorf("%d answers, and before there were %v", f.PID, before)
	}
	from = p.kill(t, 1)
	p.wait(t, from, "loader started", match{"reason": "crash"})
	p.wait(t, from, "worker ready", match{"slot": 1})
}

// Workers and loader end with a master that is killed, and run as the user they should.
func TestPreloadUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	p := preload(t, "", `user = "nobody"`)
	p.wait(t, 0, "ready", nil)
	f := p.forkedFacts()
	if f.UID != 65534 || f.GID != 65534 || f.Env["USER"] != "nobody" || !slices.Equal(f.Groups, []int{65534}) {
		t.Errorf("%+v", f)
	}
	if f.DeathSignal != int(syscall.SIGKILL) {
		t.Errorf("the death signal is %d", f.DeathSignal)
	}
	p.signal(syscall.SIGKILL)
	p.end()
	p.gone(late)
}

// An upgrade in place waits for the worker that is being forked, and goes on with the
// loader that there is.
func TestUpgradeWithLoader(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "gosuper")
	install(t, gosuper, binary)
	p := &preloaded{mischief: filepath.Join(t.TempDir(), "mischief")}
	p.do(t, "")
	p.master = start(t, launch{binary: binary, config: config(
		command("/usr/bin/python3", loaderScript(t, "loader.py"), p.mischief), "preload = true", `ready = "notify"`,
	)})
	p.wait(t, 0, "ready", nil)
	loader := p.wait(t, 0, "loader ready", nil).num("pid")
	for round := range 3 {
		p.do(t, "slow")
		from := p.kill(t, round%2)
		p.wait(t, from, "worker crashed", nil)
		p.signal(syscall.SIGUSR2)
		p.wait(t, from, "upgraded", nil)
		p.wait(t, from, "worker ready", match{"slot": round % 2})
		p.do(t, "")
		from = p.kill(t, 1-round%2)
		p.wait(t, from, "worker ready", match{"slot": 1 - round%2})
		if f := p.forkedFacts(); f.Loader != loader || f.PPID != p.pid() {
			t.Errorf("after %d upgrades: %+v", round+1, f)
		}
	}
	from := p.mark()
	p.reload()
	p.wait(t, from, "loader gone", match{"pid": loader, "status": "exit status 0"})
	if p.forkedFacts().Loader == loader {
		t.Error("the old loader still makes workers")
	}
}
