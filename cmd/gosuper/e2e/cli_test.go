//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// person runs gosuper's commands.
type person struct {
	t      testing.TB
	before []string // command that execs gosuper
	env    []string
	dir    string
}

// does runs a command and returns what it wrote and its exit status.
func (p person) does(args ...string) (stdout, stderr string, status int) {
	p.t.Helper()
	words := append(append([]string{}, p.before...), append([]string{gosuper}, args...)...)
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = &out, &err, append(cleanEnviron(), p.env...), p.dir
	failed := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](failed); failed != nil && !exited || ctx.Err() != nil {
		p.t.Fatalf("gosuper %s: %v", strings.Join(args, " "), failed)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// expects runs a command and compares what comes of it: the status, and patterns
// of what it writes to stdout and stderr.
func (p person) expects(status int, stdout, stderr string, args ...string) {
	p.t.Helper()
	out, err, code := p.does(args...)
	if code != status || !regexp.MustCompile("(?s)^"+stdout+"$").MatchString(out) || !regexp.MustCompile("(?s)^"+stderr+"$").MatchString(err) {
		p.t.Errorf("gosuper %s ended with %d, want %d\nstdout: %s\nwant %s\nstderr: %s\nwant %s", strings.Join(args, " "), code, status, out, stdout, err, stderr)
	}
}

var mortals atomic.Int64

// mortal is a person with a runtime folder of his own, who is not root, and the
// way to start masters as him.
func mortal(t *testing.T) (person, launch) {
	t.Helper()
	dir := t.TempDir()
	p := person{t: t, env: []string{"XDG_RUNTIME_DIR=" + dir}, dir: dir}
	if os.Getuid() == 0 {
		// One whom nobody else on the machine is.
		id := 1_000_000 + 16*os.Getpid() + int(mortals.Add(1))
		uid := strconv.Itoa(id)
		p.before = []string{need(t, "setpriv"), "--reuid", uid, "--regid", uid, "--clear-groups"}
		if err := os.Chown(dir, id, id); err != nil {
			t.Fatal(err)
		}
		for folder := filepath.Dir(dir); folder != "/"; folder = filepath.Dir(folder) {
			os.Chmod(folder, 0o777|os.ModeSticky)
		}
	}
	return p, launch{before: p.before, env: p.env}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	m := up(t, line, `name = "agents"`)
	p := person{t: t}
	as := func(words ...string) []string { return append(words, "--control", path) }

	p.expects(0, `agents  ready  2 of 2 workers ready  generation 1  up \S+  (?:[\d.]+ MiB of memory  )?pid \d+  version .*\nbind tcp://127.0.0.1:\d+\n\n`+
		`ID  SLOT +PID  GEN  STATE +AGE  REQUESTS  IN FLIGHT  CPU TIME +(?:[PR]SS|MEMORY)  RESTARTS  STATUS\n`+
		` 1     0 +\d+    1  ready +\S+         0          0 +[\d.]+s +[\d.]+ MiB         0\n 2     1 .*\n\n`+
		`0 requests, 0 timeouts, 0 requests lost; restarts: none\n`, "", as("status")...)
	out, _, _ := p.does(as("status", "--json", "--requests")...)
	var st control.Status
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&st); err != nil || st.PID != m.pid() || len(st.Workers) != 2 || st.Requests == nil {
		t.Errorf("status --json: %v\n%s", err, out)
	}

	p.expects(0, "workers: 3, before 2\n", "", as("scale", "+1")...)
	m.count(t, 3, 0, "worker ready", nil)
	p.expects(0, "workers: 1, before 3\n", "", as("scale", "-2")...)
	p.expects(0, "workers: 1, before 1\n", "", "scale", "--control", path, "--", "-2")
	p.expects(0, "workers: 2, before 1\n", "", as("scale", "2")...)
	p.expects(1, "", "gosuper: error: workers must be a number from 1 to 10000, not 10001\n", as("scale", "10001")...)
	m.count(t, 4, 0, "worker ready", nil)

	p.expects(1, "", "gosuper: error: there is no worker 99\ngosuper: hint: .*\n", as("recycle", "1", "99")...)
	p.expects(0, "to be replaced: 1\n", "", as("recycle", "1")...)
	m.wait(t, 0, "worker draining", match{"worker": 1, "reason": "recycle"})
	from := m.mark()
	p.expects(0, "to be replaced: .*\n", "", as("recycle", "all")...)
	m.count(t, 2, from, "worker ready", nil)
	m.count(t, 2, from, "worker draining", match{"reason": "recycle"})

	p.expects(0, "ready, 2 of 2 workers ready\n", "", as("health", "--ready")...)
	p.expects(0, "stopping\n", "", as("stop")...)
	if status := m.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	p.expects(1, "", "gosuper: error: cannot reach a master at "+path+": no such file or directory\ngosuper: hint: .*", as("health")...)
}

// The exit status of gosuper reload is true, and a failure is explained.
func TestCommandReload(t *testing.T) {
	t.Parallel()
	curse := filepath.Join(t.TempDir(), "curse")
	line, path := controlled(t)
	lines := []string{line, command(as("serve", curse)...)}
	m := up(t, lines...)
	p := person{t: t}
	p.expects(0, "reload done\n", "", "reload", "--wait", "--control", path)
	from := m.mark()
	p.expects(0, "reload started\n", "", "reload", "--control", path)
	m.wait(t, from, "reload done", nil)

	if err := os.WriteFile(curse, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	const failed = "gosuper: error: the reload failed, and what ran before runs on: "
	p.expects(1, "", failed+`worker \d+: exit status 1; its last lines:\n  slot 0 is cursed\n`, "reload", "--wait", "--control", path)
	p.expects(0, `.*\nlast reload rolled back: worker \d+: exit status 1; its last lines:\n  slot 0 is cursed\n`, "", "status", "--control", path)
	m.rewrite("workres = 2\n" + config(lines...))
	for _, words := range [][]string{{"reload", "--wait"}, {"reload"}} {
		p.expects(1, "", failed+`.*supervisor.toml:1: workres: is not a key \(did you mean workers\?\)\n`, append(words, "--control", path)...)
	}

	// Of two at once the newest wins, and both know.
	os.Remove(curse)
	from = m.mark()
	type end struct {
		stderr string
		status int
	}
	ends := make(chan end, 2)
	for i := range 2 {
		m.rewrite(config(append(lines, fmt.Sprintf("workers = %d", 3+i))...))
		go func() {
			_, stderr, status := p.does("reload", "--wait", "--control", path)
			ends <- end{stderr, status}
		}()
		m.count(t, i+1, from, "reload started", nil)
	}
	for range 2 {
		if e := <-ends; e.status != 0 {
			t.Errorf("of two reloads one ended with %d: %s", e.status, e.stderr)
		}
	}
	if st, _ := asked(t, path, false); st.WorkersTarget != 4 || st.State != control.Running {
		t.Errorf("afterwards %d workers, %s", st.WorkersTarget, st.State)
	}
}

func TestCommandStop(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		words  []string
		atMost time.Duration
	}{
		{[]string{"stop", "--wait", "--quick"}, 10 * time.Second},
		{[]string{"stop", "--wait"}, 20 * time.Second},
	} {
		line, path := controlled(t)
		m := up(t, line, command(as("deaf")...), `graceful_timeout = "2s"`)
		begin := time.Now()
		person{t: t}.expects(0, "stopped\n", "", append(tc.words, "--control", path)...)
		took := time.Since(begin)
		t.Logf("gosuper %s: %v", strings.Join(tc.words, " "), took)
		if took > tc.atMost {
			t.Errorf("gosuper %s took %v", strings.Join(tc.words, " "), took)
		}
		if len(m.workers()) > 0 {
			t.Error("workers are left")
		}
		if status := m.end(); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
}

// A master that nobody can use yet is healthy and not ready.
func TestCommandHealth(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	m := start(t, launch{config: config(line, command(as("hang")...))})
	m.wait(t, 0, "worker started", nil)
	p := person{t: t}
	p.expects(0, "starting, 0 of 2 workers ready\n", "", "health", "--control", path)
	p.expects(1, "", "gosuper: error: not ready: starting, 0 of 2 workers ready\n", "health", "--ready", "--control", path)
}

// Without a control socket the admin listener is asked.
func TestCommandHealthByAdmin(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "admin")
	m := start(t, launch{config: config(command(as("hang")...), admin("unix:"+path))})
	m.wait(t, 0, "worker started", nil)
	p := person{t: t}
	m.rewrite("control.socket = \"off\"\nadmin.bind = \"unix:" + path + "\"\n")
	p.expects(0, "ok\n", "", "health", "-c", m.file)
	p.expects(1, "", "gosuper: error: not ready: no worker is ready\n", "health", "--ready", "-c", m.file)
	m.rewrite("control.socket = \"" + path + ".none\"\nadmin.bind = \"unix:" + path + "\"\n")
	p.expects(0, "ok\n", "", "health", "-c", m.file)
	m.rewrite("control.socket = \"off\"\nadmin.bind = \"unix:" + path + ".none\"\n")
	p.expects(1, "", "gosuper: error: neither a control socket nor the admin listener .* can be reached\ngosuper: hint: .*", "health", "-c", m.file)
}

// A master is found by its socket, by its configuration, or because it is the
// only one.
func TestCommandsFindTheirMaster(t *testing.T) {
	t.Parallel()
	p, how := mortal(t)
	runtime := filepath.Join(p.dir, "gosuper")
	p.expects(1, "", `gosuper: error: no master of user \d+ is running\ngosuper: hint: .*`, "status")

	run := func(lines ...string) *master {
		how := how
		how.config = config(lines...)
		m := start(t, how)
		m.wait(t, 0, "ready", nil)
		return m
	}
	first := run(`name = "first"`, `control = { socket = "auto" }`)
	p.expects(0, "first  ready .*", "", "status")
	if info, err := os.Stat(filepath.Join(runtime, "first.sock")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	second := run(`name = "second"`, `control = { socket = "auto" }`)
	p.expects(1, "", fmt.Sprintf("gosuper: error: several masters are running: first .pid %d, %s/first.sock., second .pid %d, %[2]s/second.sock.\ngosuper: hint: .*-n NAME, -c FILE or --control PATH\n", first.pid(), runtime, second.pid()), "health")
	p.expects(0, fmt.Sprintf("NAME +PID  STATE +READY +CONTROL\nfirst +%d  ready  2 of 2  %s/first.sock\nsecond +%d  ready  2 of 2  %[2]s/second.sock\n\n.*-n NAME.*\n", first.pid(), runtime, second.pid()), "", "status")
	p.expects(1, "", "gosuper: error: several masters are running: .*", "status", "--json")
	p.expects(0, "second  ready .*", "", "status", "-n", "second")
	p.expects(1, "", fmt.Sprintf(`gosuper: error: no master of user \d+ has the name "secnd"\ngosuper: hint: running: first .pid %d, .*, second .pid %d, .*\n`, first.pid(), second.pid()), "status", "-n", "secnd")
	p.expects(0, "first  ready .*", "", "-n", "first", "status")
	p.expects(0, "second  ready .*", "", "status", "--control", filepath.Join(runtime, "second.sock"))
	p.expects(0, "second  ready .*", "", "status", "-c", second.file)
	p.expects(0, "first  ready .*", "", "-c", first.file, "status")
	p.expects(0, "first  ready .*", "", "--config="+first.file, "status")

	// A mistake in the file is no obstacle, as long as it says who is meant.
	first.rewrite("name = \"first\"\nworkres = 3\n")
	p.expects(0, "first  ready .*", "", "status", "-c", first.file)
	first.rewrite("workers = 3\n")
	p.expects(1, "", "gosuper: error: .* says neither a name nor a command\ngosuper: hint: .*", "status", "-c", first.file)
	first.rewrite("name = \n")
	p.expects(2, "", "gosuper: error: .*supervisor.toml:1:.*", "status", "-c", first.file)
	first.rewrite("control.socket = \"off\"\n")
	p.expects(1, "", "gosuper: error: the master of .* has no control socket\ngosuper: hint: .*", "status", "-c", first.file)
	first.rewrite("name = \"third\"\n")
	p.expects(1, "", `gosuper: error: no master of user \d+ has the name "third"\ngosuper: hint: running: first .*, second .*\n`, "status", "-c", first.file)

	second.signal(syscall.SIGKILL)
	second.end()
	p.expects(0, "first  ready .*", "", "status")
	env := p
	env.env = append([]string{"GOSUPER_CONTROL_SOCKET=" + filepath.Join(runtime, "second.sock")}, p.env...)
	env.expects(1, "", "gosuper: error: cannot reach a master at "+runtime+"/second.sock: connection refused\n.*", "status")
}

// Without a runtime folder the socket has no file, and is found all the same.
func TestCommandsWithoutRuntimeFolder(t *testing.T) {
	p, how := mortal(t)
	how.env = []string{"XDG_RUNTIME_DIR=", "HOME="}
	p.env = how.env
	name := fmt.Sprintf("rootless-%d", os.Getpid())
	how.config = config(fmt.Sprintf("name = %q", name), `control = { socket = "auto" }`)
	m := start(t, how)
	m.wait(t, 0, "ready", nil)
	for _, text := range []string{noControl, movedOn} {
		if warnings := m.all(0, text, nil); len(warnings) > 0 {
			t.Errorf("there is a warning: %s", warnings[0].line)
		}
	}
	p.expects(0, name+"  ready .*", "", "status", "-c", m.file)
	if os.Getuid() == 0 {
		p.expects(0, name+"  ready .*", "", "status") // there is no other of this user
	}
}

// What people who may not, or talk to something else, are told.
func TestCommandsToOthers(t *testing.T) {
	t.Parallel()
	needRoot(t)
	p, _ := mortal(t)
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	path := filepath.Join(dir, "control")
	up(t, fmt.Sprintf("control = { socket = %q }", path))
	p.expects(1, "", "gosuper: error: cannot reach a master at "+path+": permission denied\ngosuper: hint: only root and the user of the master may use its control socket: .*", "status", "--control", path)

	// One who lets everybody in, to hear what they want.
	trap := filepath.Join(dir, "trap")
	l, err := net.Listen("unix", trap)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(trap, 0o777); err != nil {
		t.Fatal(err)
	}
	p.expects(1, "", "gosuper: error: cannot reach a master at "+trap+": it belongs to user 0: permission denied\ngosuper: hint: .*", "stop", "--control", trap)
}
