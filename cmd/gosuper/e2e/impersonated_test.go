//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Nobody but root decides what goes on as root: neither whoever has the folder of
// the program, nor whoever has its file, nor whoever may write to one of them.
func TestUpgradeRunsNothingOfOthers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// prepare makes the path of a program that others can exchange, and the way
		// in which they do so.
		prepare func(s stranger, install func(binary string), script string) (binary string, exchange func())
		problem string
	}{
		{"their folder", func(s stranger, install func(string), script string) (string, func()) {
			install(s.path("gosuper"))
			return s.path("gosuper"), func() {
				s.does("sh", "-c", `printf %s "$1" >"$2.new" && chmod 755 "$2.new" && mv -f "$2.new" "$2"`, "sh", script, s.path("gosuper"))
			}
		}, "belongs to user"},
		{"a program of root in their folder", func(s stranger, install func(string), script string) (string, func()) {
			install(s.path("gosuper"))
			if err := os.WriteFile(s.path("other"), []byte(script), 0o755); err != nil {
				s.t.Fatal(err)
			}
			return s.path("gosuper"), func() { s.does("mv", "-f", s.path("other"), s.path("gosuper")) }
		}, "is a folder of user"},
		{"their link", func(s stranger, install func(string), script string) (string, func()) {
			install(s.path("gosuper"))
			return s.path("gosuper"), func() { s.does("ln", "-sf", "/bin/true", s.path("gosuper")) }
		}, "is a link made by user"},
		{"their file", func(s stranger, install func(string), script string) (string, func()) {
			binary := filepath.Join(s.t.TempDir(), "gosuper")
			install(binary)
			return binary, func() {
				s.does("install", "-m", "755", "/dev/null", s.path("renewed"))
				if err := os.Rename(s.path("renewed"), binary); err != nil {
					s.t.Fatal(err)
				}
				s.does("sh", "-c", `printf %s "$1" >"$2"`, "sh", script, binary)
			}
		}, "belongs to user"},
		{"a file that all may write", func(s stranger, install func(string), script string) (string, func()) {
			binary := filepath.Join(s.t.TempDir(), "gosuper")
			install(binary)
			return binary, func() {
				// Not another name of the file that others run.
				err := os.Remove(binary)
				if err == nil {
					err = os.WriteFile(binary, nil, 0o700)
				}
				if err != nil {
					s.t.Fatal(err)
				}
				if err := os.Chmod(binary, 0o777); err != nil {
					s.t.Fatal(err)
				}
				s.does("sh", "-c", `printf %s "$1" >"$2"`, "sh", script, binary)
			}
		}, "may be written by others"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStranger(t)
			proof := filepath.Join(t.TempDir(), "proof")
			script := fmt.Sprintf("#!/bin/sh\nid >%s\n", proof)
			binary, exchange := test.prepare(s, func(path string) { install(t, gosuper, path) }, script)
			m := start(t, launch{config: config(), binary: binary})
			m.wait(t, 0, "ready", nil)
			exchange()
			from := m.mark()
			m.signal(syscall.SIGUSR2)
			e := m.wait(t, from, "upgrade refused, nothing was changed", nil)
			if !strings.Contains(e.str("error"), test.problem) {
				t.Errorf("refused with %q, want %q", e.str("error"), test.problem)
			}
			if text, err := os.ReadFile(proof); err == nil {
				t.Errorf("what others put there was run as %s", text)
			}
		})
	}
}

// A program may be a script that executes the right one.
func TestUpgradeByScript(t *testing.T) {
	t.Parallel()
	m, binary := upgradable(t)
	real := filepath.Join(t.TempDir(), "gosuper-2")
	install(t, gosuper, real)
	if err := os.WriteFile(binary+".new", []byte("#!/bin/sh\nexec "+real+` "$@"`+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(binary+".new", binary); err != nil {
		t.Fatal(err)
	}
	m.upgrade()
	m.upgrade()
	if exe := m.executable(); exe != "" && exe != real {
		t.Errorf("the master is %s", exe)
	}
}
