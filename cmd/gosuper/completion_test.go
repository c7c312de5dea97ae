//go:build linux

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bashCompletion is where the package bash-completion is, on Debian and others.
const bashCompletion = "/usr/share/bash-completion/bash_completion"

// completer is a script for bash: it loads the completion as bash-completion does
// and asks it what may stand at the end of the words that it is given.
const completer = `
source "$1"; source "$2"; shift 2
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
complete -p gosuper >/dev/null || exit 1
__start_gosuper
printf '%s\n' "${COMPREPLY[@]}"
`

// TestBashCompletion completes in a real bash, by the real program.
func TestBashCompletion(t *testing.T) {
	if _, err := os.Stat(bashCompletion); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	var text bytes.Buffer
	if code := run([]string{"completion", "bash"}, nil, &text, io.Discard); code != exitOK {
		t.Fatalf("status %d", code)
	}
	if err := os.WriteFile(script, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	ownProgram(t, dir) // which the script runs
	for _, name := range []string{"supervisor.toml", "server"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ line, want string }{
		{"gosuper sta", "status"},
		{"gosuper s", "scale status stop"},
		{"gosuper --log-l", "--log-level"},
		{"gosuper --log-level w", "warn"},
		{"gosuper --log-format ", "auto console json"},
		{"gosuper -w 4 --worker-c", "--worker-class --worker-connections"},
		{"gosuper -k ", "inherit proxy"},
		{"gosuper --ready ", "auto notify"},
		{"gosuper -c su", ""}, // files, which bash itself adds
		{"gosuper server --w", ""},
		{"gosuper status --js", "--json"},
		{"gosuper recycle ", "all"},
		{"gosuper help met", "metrics"},
		{"gosuper help config log.l", "log.level"},
		{"gosuper help words ", ""},
		{"gosuper completion ", "bash fish zsh"},
		{"gosuper nothing-like-th", ""},
	} {
		t.Run(tc.line, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--norc", "--noprofile", "-c", completer, "bash", bashCompletion, script}, strings.Split(tc.line, " ")...)
			cmd := exec.CommandContext(t.Context(), tool(t, "bash"), args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
			out, err := cmd.Output() // its stderr has complaints that no Tab was pressed
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(string(out)) {
				name, _, _ := strings.Cut(strings.TrimSpace(line), " ") // and its description
				got = append(got, name)
			}
			slices.Sort(got)
			if got := strings.TrimSpace(strings.Join(got, " ")); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// TestCompletionScripts has each shell that is here read its script.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			var script bytes.Buffer
			if code := run([]string{"completion", shell}, nil, &script, io.Discard); code != exitOK {
				t.Fatalf("status %d", code)
			}
			cmd := exec.CommandContext(t.Context(), tool(t, shell), "-n")
			cmd.Stdin = &script
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		if code := run(args, nil, io.Discard, io.Discard); code != exitUsage {
			t.Errorf("%q: status %d", args, code)
		}
	}
}
