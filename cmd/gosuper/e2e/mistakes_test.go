//go:build linux

package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// Of a server that binds a port of its own it is said that nobody accepts, where it
// listens instead, and what to write. It is warned of one that multiplies itself.
func TestServerThatBindsItself(t *testing.T) {
	t.Parallel()
	foreign := absolute(t, "testdata/foreign")
	m := start(t, launch{config: config(
		command(uvicorn(t), "app:app", "--app-dir", foreign, "--port", "0", "--workers", "1"), "workers = 1", "startup_timeout = 5", "restart.startup_attempts = 1",
	)})
	m.wait(t, 0, "uvicorn does not serve the socket that gosuper has bound: add --fd 3 to its command", nil)
	e := m.wait(t, 0, "a worker listens on an address of its own, and waits on no socket that it was given", nil)
	if addresses, _ := e.fields["listens_on"].([]any); len(addresses) != 1 || !strings.Contains(e.str("hint"), "--fd 3") {
		t.Errorf("%s", e.line)
	}
	if len(m.all(0, "worker is not ready in time, asking for its stacks", nil)) > 0 {
		t.Error("it is said only when the worker is given up")
	}
	if code := m.end(); code != 3 {
		t.Errorf("exit status %d, want 3", code)
	}
	text := m.String()
	if !regexp.MustCompile(`it waits for connections on no socket that it was given, and listens on 127\.0\.0\.1:\d+`).MatchString(text) {
		t.Error("it is not said where it listens")
	}
	if !strings.Contains(text, "gosuper: hint: the command must serve the socket it inherits, fd 3 (uvicorn: --fd 3)") {
		t.Error("it is not said what to write")
	}
	m = start(t, launch{config: config(command(uvicorn(t), "app:app", "--app-dir", foreign, "--fd", "3", "--workers", "3"), "workers = 1")})
	m.wait(t, 0, "uvicorn --workers 3 makes every worker of gosuper start workers of its own: leave that out, and set workers", nil)
	// The same behind a program, where the command does not tell.
	m = start(t, launch{config: config(command(need(t, "sh"), "-c", "exec "+uvicorn(t)+" app:app --app-dir "+foreign+" --port 0 --workers 2"), "workers = 1")})
	m.wait(t, 0, "a worker listens on an address of its own, and waits on no socket that it was given", nil)
}
