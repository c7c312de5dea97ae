//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/gosuper/e2e/testdata/lag"
)

// lagging is a line of configuration for workers that write their header when
// they are 1.3 s old.
var lagging = fmt.Sprintf("env = { %s = \"1.3s\" }", lag.Name)

// The limits of a worker that writes its header late hold from outside like those
// of any other.
func TestLateHeader(t *testing.T) {
	t.Parallel()
	for _, ready := range []string{"auto", "500ms"} {
		t.Run("ready = "+ready, func(t *testing.T) {
			t.Parallel()
			m := up(t, "workers = 1", `timeout = "1s"`, lagging, fmt.Sprintf("ready = %q", ready))
			e := m.wait(t, 0, "worker ready", nil)
			if old, err := time.ParseDuration(e.str("after")); ready == "auto" && (err != nil || old < 1300*time.Millisecond) {
				t.Errorf("it counts as ready before it has its header: %s", e.line)
			}
			samples := take(t, 1, send(m.addr(), "/nap?d=20s", 1))
			m.wait(t, 0, "worker is stuck: a request does not end", match{"worker": 1})
			m.wait(t, 0, "worker gone", match{"worker": 1, "reason": "timeout"})
			checkTimeouts(t, samples, late)
			if len(m.all(0, "settings have no effect", nil)) > 0 || strings.Contains(m.String(), "no effect") {
				t.Error("its limits are said to have no effect")
			}
		})
	}
}

// starters are ways to start a plain server whose application takes its time: it
// is not ready before that. Each of them serves when the file named by READY
// exists, and fails when that named by FAIL does.
func starters(t *testing.T) map[string][]string {
	t.Helper()
	foreign := absolute(t, "testdata/foreign")
	python := need(t, "python3")
	return map[string][]string{
		"uvicorn": {uvicorn(t), "starts:app", "--app-dir", foreign, "--fd", "3", "--log-level", "warning"},
		"node":    {need(t, "node"), filepath.Join(foreign, "starts.js")},
		"accept":  {python, filepath.Join(foreign, "starts_socket.py"), "accept"},
		"poll":    {python, filepath.Join(foreign, "starts_socket.py"), "poll"},
		"select":  {python, filepath.Join(foreign, "starts_socket.py"), "select"},
		"shell":   {"/bin/sh", "-c", `"$0" "$@" & wait`, python, filepath.Join(foreign, "starts_socket.py"), "poll"},
	}
}

// A plain worker is ready when its application has started, however long that
// takes and however it waits for connections; a reload to one that cannot start,
// or does not, is rolled back and touches nobody.
func TestPlainReadiness(t *testing.T) {
	t.Parallel()
	for name, words := range starters(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			env := func(name string) string {
				return fmt.Sprintf("env = { READY = %q, FAIL = %q }", filepath.Join(dir, name), filepath.Join(dir, "fail"))
			}
			touch := func(name string) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			line, socket := controlled(t)
			settings := func(ready, startup string) string {
				return config("workers = 1", line, command(words...), env(ready), "startup_timeout = "+startup)
			}
			m := start(t, launch{config: settings("go", "60")})
			e := m.wait(t, 0, "worker started", nil)
			never(t, e.at.Add(2*time.Second), func() bool { return len(m.all(0, "worker ready", nil)) > 0 }, "it counts as ready before its application has started")
			touch("go")
			began := time.Now()
			m.wait(t, 0, "worker ready", nil)
			t.Logf("ready %v after it could begin", time.Since(began).Round(time.Millisecond))
			if _, body, err := m.get("/"); err != nil || body != "started\n" {
				t.Errorf("answer %q, %v", body, err)
			}
			old := m.workers()[0]

			rolledBack := func(how string) {
				t.Helper()
				out, err := exec.Command(gosuper, "reload", "--wait", "--control", socket).CombinedOutput()
				if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), "the reload failed") {
					t.Errorf("a reload to an application that %s: %v, %s", how, err, out)
				}
				if now := m.workers()[0]; now != old || syscall.Kill(old, 0) != nil {
					t.Errorf("worker process %d was replaced by %d", old, now)
				}
			}
			m.rewrite(settings("never", "2")) // waits for a file that does not come
			rolledBack("hangs")
			touch("fail")
			m.rewrite(settings("never", "60"))
			rolledBack("fails")
		})
	}
}

// A plain server that serves one of two addresses is told when somebody waits at
// the other one.
func TestUnservedAddress(t *testing.T) {
	foreign := absolute(t, "testdata/foreign")
	m := up(t, "workers = 2", command(need(t, "python3"), filepath.Join(foreign, "starts_socket.py"), "poll"),
		fmt.Sprintf("env = { READY = %q, FAIL = \"\" }", foreign), `bind = ["127.0.0.1:0", "127.0.0.1:0"]`)
	binds := m.binds(m.wait(t, 0, "starting", nil))
	if len(m.all(0, unservedWarning, nil)) > 0 {
		t.Error("it is said before anybody waits")
	}
	for _, addr := range binds {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	m.wait(t, 0, unservedWarning, match{"bind": "tcp://" + binds[1]})
	if all := m.all(0, unservedWarning, nil); len(all) > 1 {
		t.Errorf("%d warnings, want one", len(all))
	}
}

// A plain server that binds an address of its own is told so, with that address,
// when somebody waits at the one that it was given, whether it counts as ready or
// not.
func TestServesElsewhere(t *testing.T) {
	t.Parallel()
	for _, ready := range []string{"auto", "1s"} {
		t.Run(ready, func(t *testing.T) {
			t.Parallel()
			m := start(t, launch{config: config("workers = 1", fmt.Sprintf("ready = %q", ready),
				command(need(t, "python3"), "-m", "http.server", "--bind", "127.0.0.1", "0"))})
			m.wait(t, 0, "worker started", nil)
			conn, err := net.Dial("tcp", m.addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			e := m.wait(t, 0, unservedWarning, nil)
			elsewhere, _ := e.fields["listens_on"].([]any)
			if len(elsewhere) != 1 {
				t.Fatalf("the server listens on %v, want one address", e.fields["listens_on"])
			}
			own, err := net.Dial("tcp", elsewhere[0].(string))
			if err != nil {
				t.Fatal(err)
			}
			own.Close()
		})
	}
}

const unservedWarning = "nobody accepts the connections to an address: the command serves another socket, or only the first"

// never fails the test if something happens before a time.
func never(t *testing.T, until time.Time, happens func() bool, what string) {
	t.Helper()
	for time.Now().Before(until) {
		if happens() {
			t.Fatal(what)
		}
		time.Sleep(10 * time.Millisecond) // until then time is all there is to wait for
	}
}
