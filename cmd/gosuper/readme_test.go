package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gosuper/gosuper/config"
)

// fenced returns the blocks of a language in the README.
func fenced(t *testing.T, language string) []string {
	t.Helper()
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)\n```").FindAllStringSubmatch(read(t, "README.md"), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// TestReadmeCommands: the two commands of the README, which are the first two
// in it, are those that CI runs, and the paths in them exist.
func TestReadmeCommands(t *testing.T) {
	commands := fenced(t, "sh")
	if len(commands) < 2 {
		t.Fatal("README.md has no two commands")
	}
	ci := strings.Split(read(t, ".ci/run"), "\n")
	for _, command := range commands[:2] {
		if strings.Contains(command, "\n") {
			t.Errorf("the command has several lines:\n%s", command)
		}
		if !slices.ContainsFunc(ci, func(line string) bool { return strings.TrimSpace(line) == command }) {
			t.Errorf(".ci/run does not run %s", command)
		}
		for word := range strings.FieldsSeq(command) {
			if word = strings.TrimSuffix(word, "..."); strings.Contains(word, "/") && !strings.HasPrefix(word, "bin/") {
				if _, err := os.Stat(filepath.Join(root, word)); err != nil {
					t.Errorf("%s: %v", command, err)
				}
			}
		}
	}
}

// TestReadmeConfiguration: the configuration in the README is one.
func TestReadmeConfiguration(t *testing.T) {
	for _, text := range fenced(t, "toml") {
		dir := t.TempDir()
		file := filepath.Join(dir, "supervisor.toml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "agent-server"), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		if code := run([]string{"-c", file, "--chdir", dir, "--check-config"}, nil, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Errorf("status %d: %s", code, &stderr)
		}
	}
}

// TestReadmeNames: the keys and flags that the README speaks of exist, but for
// those of others.
func TestReadmeNames(t *testing.T) {
	others := []string{"raw_env", "proc_name", "--fd", "--threads", "gunicorn.conf"}
	for _, m := range regexp.MustCompile("`(--[a-z-]+|[a-z_]+[_.][a-z_]+)`").FindAllStringSubmatch(read(t, "README.md"), -1) {
		name := m[1]
		flag, isFlag := strings.CutPrefix(name, "--")
		exists := slices.ContainsFunc(config.Keys(), func(k config.Key) bool {
			return isFlag && k.Flag == flag || !isFlag && (k.Name == name || strings.HasSuffix(k.Name, "."+name))
		})
		// The flags of the command line alone, and file names.
		exists = exists || name == "--check-config" || name == "app.py" || name == "server.js"
		if !exists && !slices.Contains(others, name) {
			t.Errorf("README.md speaks of %s, which does not exist", name)
		}
	}
}
