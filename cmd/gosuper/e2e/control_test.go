//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// controlled is the line of TOML for a control socket, and the path of that.
func controlled(t testing.TB) (line, path string) {
	path = filepath.Join(t.TempDir(), "control")
	return fmt.Sprintf("control = { socket = %q }", path), path
}

// outcome is what somebody who waits for a reload gets.
type outcome struct {
	control.Reload
	err error
}

// reloading asks for a reload and waits for its end elsewhere.
func reloading(t testing.TB, path string) chan outcome {
	over := make(chan outcome, 1)
	go func() {
		r, err := control.NewClient(path).Reload(t.Context(), true)
		over <- outcome{r, err}
	}()
	return over
}

// asked asks for the status and says how long that took.
func asked(t testing.TB, path string, withRequests bool) (control.Status, time.Duration) {
	t.Helper()
	begin := time.Now()
	st, err := control.NewClient(path).Status(t.Context(), withRequests)
	if err != nil {
		t.Fatal(err)
	}
	return st, time.Since(begin)
}

// While no worker reacts to anything the master answers at once, and knows what
// each of them is doing.
func TestStatusWhileWorkersHang(t *testing.T) {
	line, path := controlled(t)
	m := up(t, line, "workers = 4", `timeout = "60s"`)
	addr := m.addr()
	for range 8 {
		go func() {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				defer conn.Close()
				fmt.Fprint(conn, "GET /nap?d=60s HTTP/1.1\r\nHost: x\r\n\r\n")
				<-t.Context().Done()
			}
		}()
	}
	st, _ := asked(t, path, true)
	for begin := time.Now(); len(st.Requests) < 8 && time.Since(begin) < testTimeout; {
		st, _ = asked(t, path, true)
	}
	if len(st.Requests) != 8 || st.Requests[0].Method != "GET" || st.Requests[0].Path != "/nap" {
		t.Fatalf("requests in flight: %+v", st.Requests)
	}
	for _, pid := range m.workers() {
		syscall.Kill(pid, syscall.SIGSTOP)
	}
	var took []time.Duration
	for range 20 {
		st, d := asked(t, path, true)
		if st.State != control.Running || len(st.Requests) != 8 || len(st.Workers) != 4 || st.Workers[0].MemoryBytes == 0 {
			t.Fatalf("status %+v", st)
		}
		took = append(took, d)
	}
	slices.Sort(took)
	t.Logf("status of 4 stopped workers: median %v, slowest %v", took[10], took[19])
	if took[0] > 20*time.Millisecond && !raceEnabled { // the others may have waited for a processor
		t.Errorf("status takes %v", took[0])
	}
	for _, pid := range m.workers() {
		syscall.Kill(pid, syscall.SIGCONT)
	}
}

// A reload is waited for, told apart from the next one, and never lied about.
func TestControlReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	gate, curse := filepath.Join(dir, "gate"), filepath.Join(dir, "curse")
	line, path := controlled(t)
	lines := []string{line, command(as("serve", curse, gate)...)}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := up(t, lines...)

	os.Remove(gate)
	first := reloading(t, path)
	m.wait(t, 0, "reload started", match{"revision": 2})
	st, took := asked(t, path, false)
	t.Logf("status during a reload: %v", took)
	if st.State != control.Reloading || st.LastReload.Result != control.Underway {
		t.Errorf("during a reload: %s, last reload %+v", st.State, st.LastReload)
	}
	m.rewrite(config(append(lines, "workers = 3")...))
	second := reloading(t, path)
	m.wait(t, 0, "reload started", match{"revision": 3})
	os.WriteFile(gate, nil, 0o600)
	for _, over := range []chan outcome{first, second} {
		if got := <-over; got.err != nil || got.Result != control.OK {
			t.Errorf("two reloads at once: %+v", got)
		}
	}
	if st, _ := asked(t, path, false); st.WorkersTarget != 3 || st.State != control.Running || st.Generation != 2 || st.Counters.Restarts[control.ByReload] < 2 {
		t.Errorf("afterwards: %+v", st)
	}

	os.WriteFile(curse, []byte("0"), 0o600)
	if got := <-reloading(t, path); got.err != nil || got.Result != control.RolledBack ||
		!strings.Contains(got.Error, "exit status 1; its last lines:\n  slot 0 is cursed") {
		t.Errorf("a canary that dies: %+v", got)
	}
	m.rewrite("workres = 2\n" + config(lines...))
	if got := <-reloading(t, path); got.err != nil || got.Result != control.RolledBack || !strings.Contains(got.Error, "workres: is not a key") {
		t.Errorf("a mistake in the file: %+v", got)
	}
	if st, _ := asked(t, path, false); st.LastReload.Result != control.RolledBack || !strings.Contains(st.LastReload.Error, "workres") {
		t.Errorf("the last reload is %+v", st.LastReload)
	}
}

// The socket is there for one master and one user, and not longer than these.
func TestControlSocket(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	m := up(t, line)
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
		t.Fatalf("the control socket is %v, %v", info, err)
	}

	other := start(t, launch{config: config(line)})
	other.contains(t, "gosuper: error: cannot listen on unix:"+path)
	if status := other.end(); status != 1 {
		t.Errorf("a second master with the same socket ended with %d", status)
	}
	if st, _ := asked(t, path, false); st.PID != m.pid() {
		t.Errorf("the socket has the master %d", st.PID)
	}

	// What is left of a master that was killed is replaced.
	m.signal(syscall.SIGKILL)
	m.end()
	m = up(t, line)
	if st, _ := asked(t, path, false); st.PID != m.pid() {
		t.Errorf("the socket has the master %d", st.PID)
	}

	// A reload may move it, and whoever asked at the old one is answered there.
	moved := path + "2"
	m.rewrite(config(fmt.Sprintf("control = { socket = %q }", moved)))
	if got := <-reloading(t, path); got.err != nil || got.Result != control.OK {
		t.Errorf("a reload that moves the socket: %+v", got)
	}
	if st, _ := asked(t, moved, false); st.PID != m.pid() {
		t.Errorf("the socket has the master %d", st.PID)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the old socket is still there")
	}
	m.rewrite(config(`control = { socket = "/nowhere/control" }`))
	if got := <-reloading(t, moved); got.Result != control.RolledBack || !strings.Contains(got.Error, "/nowhere/control") {
		t.Errorf("a reload to where no socket can be: %+v", got)
	}

	if err := control.NewClient(moved).Stop(t.Context(), false, true); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(moved); err == nil {
		t.Error("the socket is still there when the master says that it has ended")
	}
	if status := m.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}

	nowhere := start(t, launch{config: config(`control = { socket = "/nowhere/control" }`)})
	nowhere.contains(t, "gosuper: hint: the directory of a unix socket must exist")
	if status := nowhere.end(); status != 1 {
		t.Errorf("without a folder for the socket it ended with %d", status)
	}
}

// Nobody but root and the user of the master is answered, be there a file with a
// mode or not.
func TestControlRefusesOthers(t *testing.T) {
	t.Parallel()
	needRoot(t)
	curl, setpriv := need(t, "curl"), need(t, "setpriv")
	const user, stranger = "65531", "65532"
	dir := t.TempDir()
	for folder := dir; folder != "/"; folder = filepath.Dir(folder) {
		os.Chmod(folder, 0o777|os.ModeSticky)
	}
	as := func(uid string) []string {
		return []string{setpriv, "--reuid", uid, "--regid", uid, "--clear-groups"}
	}
	path := filepath.Join(dir, "control")
	for _, tc := range []struct{ socket, curl string }{
		{path, "--unix-socket=" + path},
		{"auto", "--abstract-unix-socket=gosuper/" + user + "/stranger"},
	} {
		m := start(t, launch{before: as(user), config: config("name = \"stranger\"", fmt.Sprintf("control = { socket = %q }", tc.socket))})
		m.wait(t, 0, "ready", nil)
		ask := func(uid string) string {
			option, value, _ := strings.Cut(tc.curl, "=")
			words := append(as(uid), curl, "--silent", option, value, "http://gosuper/v1/health")
			out, _ := exec.CommandContext(t.Context(), words[0], words[1:]...).Output()
			return string(out)
		}
		for _, uid := range []string{"0", user} {
			if got := ask(uid); !strings.Contains(got, `"healthy":true`) {
				t.Errorf("%s: user %s gets %q", tc.socket, uid, got)
			}
		}
		if got := ask(stranger); got != "" {
			t.Errorf("%s: a stranger gets %q", tc.socket, got)
		}
		m.signal(syscall.SIGTERM)
		m.end()
	}
}
