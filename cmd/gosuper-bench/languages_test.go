//go:build linux

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPython plays some of the scenarios on servers for Python. What becomes of another
// server than gosuper is not asked.
func TestPython(t *testing.T) {
	venv := os.Getenv("TEST_PYTHON")
	if venv == "" {
		t.Skip("TEST_PYTHON is not set: no virtual environment with what worker/python/requirements.txt lists")
	}
	source, err := filepath.Abs("../../worker/python/src")
	if err != nil {
		t.Fatal(err)
	}
	for app, scenarios := range map[string][]string{"asgi": {"steady"}, "fastapi": {"steady", "stop"}} {
		t.Run(app, func(t *testing.T) {
			args := []string{"--python", "--venv=" + venv, "--app=" + app, "--against=uvicorn", "--rounds=1", "--duration=200ms", "--connections=4"}
			cmd, _ := program(t, append(args, scenarios...)...)
			cmd.Env = append(cmd.Env, "PYTHONPATH="+source)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, &stderr)
			}
			if want := "| scenario | figure | gosuper | uvicorn |\n"; !strings.HasPrefix(string(out), want) {
				t.Errorf("this does not begin with %s:\n%s", want, out)
			}
		})
	}
}

// TestNode plays the scenarios of --node with the package of this repository.
func TestNode(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip(err)
	}
	ours, err := filepath.Abs("../../worker/node")
	if err != nil {
		t.Fatal(err)
	}
	modules := t.TempDir()
	if err := os.Mkdir(filepath.Join(modules, "node_modules"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(ours, filepath.Join(modules, "node_modules", "gosuper")); err != nil {
		t.Fatal(err)
	}
	b, err := newBench(options{node: true, modules: modules, venv: "venv"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b.close()
	if !filepath.IsAbs(b.venv) {
		t.Errorf("fronts, which run in a folder of their own, look for programs in %s", b.venv)
	}
	args := []string{"--node", "--modules=" + modules, "--rounds=1", "--duration=200ms", "--connections=4"}
	cmd, _ := program(t, append(args, "steady", "reload", "recycle", "stop", "spread")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, &stderr)
	}
	if want := "| scenario | figure | gosuper | cluster | gosuper before node |\n"; !strings.HasPrefix(string(out), want) {
		t.Errorf("this does not begin with %s:\n%s", want, out)
	}
}
