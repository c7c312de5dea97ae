//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// linked builds a gosuper that has package worker in it, and returns its path.
func linked(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	extra := absolute(t, "../linked.go") // which is there for the compiler alone
	source, overlay, binary := filepath.Join(dir, "linked.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "gosuper")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{extra: source}})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{
		source:  []byte("package main\n\nimport _ \"github.com/gosuper/gosuper/worker\"\n"),
		overlay: replace,
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", binary, "..").CombinedOutput(); err != nil {
		t.Fatalf("cannot build: %v\n%s", err, out)
	}
	return binary
}

// A master that is the worker of another one is a plain worker, also with package worker
// in its program: the sockets are its own to hand out, its readiness and its end its own
// to tell, and what its workers are given is of its making alone.
func TestMasterUnderMaster(t *testing.T) {
	t.Parallel()
	innerLine, inner := controlled(t)
	outerLine, outer := controlled(t)
	file := filepath.Join(t.TempDir(), "inner.toml")
	text := config(innerLine, "workers = 2", `keepalive = "3s"`)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	access := filepath.Join(t.TempDir(), "access")
	m := up(t, outerLine, "workers = 1", `ready = "auto"`, `keepalive = "7s"`, `watchdog = "5s"`, "max_requests = 1000000",
		command(linked(t), "-c", file), "[log]", "access_file = "+strconv.Quote(access))
	for range 3 {
		if _, body, err := m.get("/"); err != nil || body != "generation 1\n" {
			t.Fatalf("answered %q, %v", body, err)
		}
	}

	without, _ := asked(t, outer, false)
	if w := without.Workers[0]; w.Cooperating || w.Requests != nil || w.InFlight != nil {
		t.Errorf("the outer master takes the inner one for %+v", w)
	}
	within, _ := asked(t, inner, false)
	served := uint64(0)
	for _, w := range within.Workers {
		if !w.Cooperating || w.Requests == nil {
			t.Fatalf("the inner master takes its worker for %+v", w)
		}
		served += *w.Requests
	}
	if served != 3 {
		t.Errorf("the inner master's workers had %d requests", served)
	}
	if !slices.Equal(within.Binds, without.Binds) {
		t.Errorf("the inner master listens on %q, the outer one on %q", within.Binds, without.Binds)
	}
	if got, want := *without.Workers[0].PID, within.PID; got != want {
		t.Errorf("process %d is the worker, and %d the master", got, want)
	}

	f := m.facts()
	if f.Ppid != within.PID || f.Env["GOSUPER_PLACE"] == "" {
		t.Errorf("%+v is no worker of process %d", f, within.PID)
	}
	if slices.Contains(f.Given, "GOSUPER_ACCESS_FD") || slices.Contains(f.Given, "WATCHDOG_USEC") {
		t.Errorf("what the outer master gave is handed on: %q", f.Given)
	}
	m.signal(syscall.SIGTERM)
	if status := m.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if killed := m.all(0, "killing worker", nil); len(killed) > 0 {
		t.Errorf("the inner master did not end by itself: %v", killed)
	}
}
