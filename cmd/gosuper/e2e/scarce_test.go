//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Machines that lack what most have, made by a shell of root in a mount namespace
// of its own, which runs gosuper in the end. DIR is a folder for it.
const (
	fullDisk = `mount -t tmpfs -o size=64k tmpfs "$DIR" && ! cat /dev/zero 2>/dev/null >"$DIR/filler" && cd "$DIR" &&
		export HOME="$DIR" TMPDIR="$DIR" XDG_RUNTIME_DIR="$DIR" && exec "$@"`
	readOnly = `mount -o remount,bind,ro / && for at in $(awk '$2 ~ "^/(run|tmp|var|home|root)" { print $2 }' /proc/self/mounts); do mount -o remount,bind,ro "$at"; done &&
		! touch "$DIR/x" 2>/dev/null && cd "$DIR" && exec "$@"`
	noUser = `cd / && exec setpriv --reuid 54321 --regid 54321 --clear-groups --no-new-privs \
		env -i ` + markName + `="$` + markName + `" PATH="$PATH" GORACE="$GORACE" "$@"`
	noProc      = `mount -t tmpfs tmpfs /proc && exec "$@"`
	noFiles     = `ulimit -n 20 && exec "$@"`
	bigVariable = `printf 'BIG=%0131066d\n' 0 >"$DIR/vars" && exec "$@"`

	noFolder = `mkdir "$DIR/in" && cd "$DIR/in" && chmod 700 "$DIR" && exec setpriv --reuid 54321 --regid 54321 --clear-groups "$@"`
)

// Where a disk is full or cannot be written, and for a user that the machine does
// not know, gosuper works, or says in one line what it needs.
func TestScarceMachines(t *testing.T) {
	needRoot(t)
	need(t, "unshare")
	need(t, "setpriv")
	for _, tc := range []struct {
		name    string
		machine string
		args    []string // DIR stands for the folder
		want    string   // all that it says before it ends, but for a hint; empty: it works
	}{
		{"full disk", fullDisk, nil, ""},
		{"full disk, access log", fullDisk, []string{"--access-logfile", "DIR/access"}, ""},
		{"full disk, pid file", fullDisk, []string{"-p", "DIR/pid"}, "cannot write the pid file: write DIR/pid: no space left on device"},
		{"read-only", readOnly, nil, ""},
		{"read-only, log", readOnly, []string{"--error-logfile", "DIR/log"}, "cannot open the log: open DIR/log: read-only file system"},
		{"read-only, access log", readOnly, []string{"--access-logfile", "DIR/access"}, "cannot open the access log: open DIR/access: read-only file system"},
		{"read-only, pid file", readOnly, []string{"-p", "DIR/pid"}, "cannot write the pid file: open DIR/pid: read-only file system"},
		{"read-only, socket", readOnly, []string{"-b", "unix:DIR/s"}, "cannot listen on unix:DIR/s: read-only file system"},
		{"no name and no home", noUser, nil, ""},
		{"no name, port of root", noUser, []string{"-b", "127.0.0.1:80"}, "cannot listen on 127.0.0.1:80: permission denied"},
		{"no /proc", noProc, nil, "cannot start worker: stat /proc/self/exe: no such file or directory"},
		{"no way to the folder", noFolder, nil, "chdir: cannot use DIR/in: permission denied"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			m := scarce(t, tc.machine, dir, tc.args...)
			if tc.want != "" {
				want := "gosuper: error: " + strings.ReplaceAll(tc.want, "DIR", dir) + "\n"
				m.contains(t, want)
				if code := m.end(); code != 1 && code != 2 {
					t.Errorf("exit status %d", code)
				}
				said := raceDetector.ReplaceAllString(m.String(), "")
				text, hint, _ := strings.Cut(said, "gosuper: hint: ")
				if text != want || strings.Count(hint, "\n") > 1 {
					t.Errorf("it says\n%s, want\n%s", m, want)
				}
				return
			}
			m.wait(t, 0, "ready", nil)
			if answer, body, err := m.get("/"); err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("%s %v", body, err)
			}
			m.reload()
			m.signal(syscall.SIGTERM)
			if code := m.end(); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

// What keeps every worker from being started is said with what to do about it.
func TestNoWorkerCanStart(t *testing.T) {
	needRoot(t)
	need(t, "unshare")
	for _, tc := range []struct {
		name, machine string
		args          []string
		want          string // the error; the hint
		hint          string
	}{
		{"no descriptors", noFiles, nil, "too many open files", "gosuper: hint: the master has no descriptors left: "},
		{"a variable too long", bigVariable, []string{"-c", "DIR/s.toml"}, `the environment variable "BIG" has 131070 bytes with its name: argument list too long`, "gosuper: hint: the kernel takes 131071 in one variable (MAX_ARG_STRLEN), of which gosuper needs "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "s.toml"), fmt.Appendf(nil, "env_file = %q\n", dir+"/vars"), 0o600); err != nil {
				t.Fatal(err)
			}
			m := scarce(t, tc.machine, dir, tc.args...)
			if code := m.end(); code != 3 {
				t.Errorf("exit status %d", code)
			}
			m.contains(t, tc.hint)
			m.contains(t, tc.want)
		})
	}
}

// A log that cannot be written is no reason to stop serving.
func TestFullDiskForTheLog(t *testing.T) {
	t.Parallel()
	needRoot(t)
	need(t, "unshare")
	dir, other := t.TempDir(), t.TempDir()
	addr := filepath.Join(other, "s")
	m := scarce(t, fullDisk, dir, "--error-logfile", filepath.Join(dir, "log"), "-b", "unix:"+addr)
	client := clientOf(addr)
	eventually(t, "an answer", func() bool {
		answer, err := client.Get("http://worker/")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// scarce starts a master on such a machine, on a free port unless the arguments
// say where.
func scarce(t *testing.T, machine, dir string, args ...string) *master {
	t.Helper()
	words := []string{"-b", "127.0.0.1:0"}
	for _, arg := range args {
		if arg == "-b" {
			words = nil
		}
	}
	for _, arg := range args {
		words = append(words, strings.ReplaceAll(arg, "DIR", dir))
	}
	return start(t, launch{
		before: []string{"unshare", "--mount", "sh", "-c", machine, "sh"},
		args:   append(append(words, "--"), as("serve")...),
		env:    []string{"DIR=" + dir},
	})
}

// raceDetector is what the race detector says where there is no /proc.
var raceDetector = regexp.MustCompile(`(?m)^==[0-9]+==WARNING: .*\n`)
