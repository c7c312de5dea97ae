//go:build linux

package main

import (
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/gosuper/gosuper/config"
)

// tool returns the path of a program that only tests need, or leaves the test out.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(err)
	}
	return path
}

// TestManuals has mandoc look at every page, and looks for every command, flag
// and key.
func TestManuals(t *testing.T) {
	root := (&app{stdout: io.Discard, stderr: io.Discard}).newRoot()
	pages := manuals(root, "2026-01-02")
	dir := t.TempDir()
	var files []string
	for name, text := range pages {
		file := filepath.Join(dir, name)
		files = append(files, file)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range root.Commands() {
		if _, ok := pages["gosuper-"+c.Name()+".1"]; ok == c.Hidden {
			t.Errorf("%s: has a page %v, is hidden %v", c.Name(), ok, c.Hidden)
		}
	}
	root.Flags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(pages["gosuper.1"], roff("--"+f.Name)) {
			t.Errorf("gosuper(1) lacks --%s", f.Name)
		}
	})
	for _, k := range config.Keys() {
		_, name, found := strings.Cut(k.Name, ".")
		if !found {
			name = k.Name
		}
		if !strings.Contains(pages["supervisor.toml.5"], "\n\\fB"+name+"\\fR\n") {
			t.Errorf("supervisor.toml(5) lacks %s", k.Name)
		}
	}
	out, err := exec.CommandContext(t.Context(), tool(t, "mandoc"), append([]string{"-T", "lint"}, files...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
}

// TestManCommand writes the pages where packages find them.
func TestManCommand(t *testing.T) {
	dir := t.TempDir()
	if code := run([]string{"man", dir}, nil, io.Discard, io.Discard); code != exitOK {
		t.Fatalf("status %d", code)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	root := (&app{}).newRoot()
	if want := slices.Sorted(maps.Keys(manuals(root, ""))); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if code := run([]string{"man", filepath.Join(dir, "nowhere")}, nil, io.Discard, io.Discard); code != exitRuntime {
		t.Errorf("a folder that is not there: status %d", code)
	}
	if code := run([]string{"man"}, nil, io.Discard, io.Discard); code != exitUsage {
		t.Errorf("no folder: status %d", code)
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		"--flag": `\-\-flag`, ".toml": `\&.toml`, "'quoted'": `\&'quoted'`, `a\b`: `a\eb`, "plain": "plain",
	} {
		if got := roff(text); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}
