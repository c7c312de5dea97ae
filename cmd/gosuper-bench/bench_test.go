//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	asProgram = "BENCH_TEST_AS_PROGRAM" // set: this binary is gosuper-bench
	brand     = "BENCH_TEST_BRAND"      // set by a test for all that comes of it
)

var bin string // the folder with gosuper and agent-server

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gosuper-bench-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.Command("go", "build", "-o", bin, "../gosuper", "../../examples/agent-server")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// program is this binary as gosuper-bench, with a brand that finds all it starts.
func program(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	mark := fmt.Sprintf("%s=%s-%d", brand, t.Name(), os.Getpid())
	args = append([]string{"--gosuper", filepath.Join(bin, "gosuper"), "--agent", filepath.Join(bin, "agent-server"), "--venv="}, args...)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+t.TempDir(), mark)
	return cmd, mark
}

// branded counts the processes that have a brand.
func branded(mark string) int {
	n := 0
	names, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil && bytes.Contains(text, []byte(mark)) {
			n++
		}
	}
	return n
}

// TestScenarios plays every scenario for a moment. That gosuper loses no request
// where it must not is in the status.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			cmd, mark := program(t, "--rounds=1", "--duration=100ms", "--connections=4", "--fleet=4", s.name)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s%s", err, &stdout, &stderr)
			}
			lines := strings.Split(stdout.String(), "\n")
			if len(lines) < 5 || !strings.HasPrefix(lines[0], "| scenario | figure | gosuper |") || !strings.HasPrefix(lines[2], "| "+s.name+" | ") {
				t.Errorf("this is no table of %s:\n%s", s.name, &stdout)
			}
			if strings.Contains(stderr.String(), "warning") {
				t.Errorf("stderr: %s", &stderr)
			}
			if n := branded(mark); n > 0 {
				t.Errorf("%d processes are left", n)
			}
			if left, _ := os.ReadDir(strings.TrimPrefix(envOf(cmd, "TMPDIR"), "TMPDIR=")); len(left) > 0 {
				t.Errorf("files are left: %v", left)
			}
		})
	}
}

func envOf(cmd *exec.Cmd, name string) string {
	value := ""
	for _, e := range cmd.Env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v // the last one counts
		}
	}
	return value
}

// TestNothingSurvives: however this program ends, its targets end with it.
func TestNothingSurvives(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			cmd, mark := program(t, "--duration=1m", "steady")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			// Itself, the master and two workers: the first target runs.
			until(t, "the first target runs", func() bool { return branded(mark) >= 4 })
			cmd.Process.Signal(sig)
			exit, _ := errors.AsType[*exec.ExitError](cmd.Wait())
			if sig != syscall.SIGKILL && (exit == nil || exit.ExitCode() != exitFailure) {
				t.Errorf("ended with %v, want status %d", exit, exitFailure)
			}
			until(t, "all are gone", func() bool { return branded(mark) == 0 })
		})
	}
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) { // between two looks at /proc
		if time.Since(began) > time.Minute {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// TestSameWork: the bare agent does for a request what the example agent does, or
// comparing them would mean nothing.
func TestSameWork(t *testing.T) {
	runtime.LockOSThread() // targets live as long as the thread
	t.Setenv(asProgram, "1")
	b := &bench{options: options{gosuper: filepath.Join(bin, "gosuper"), agent: filepath.Join(bin, "agent-server")}, dir: t.TempDir()}
	var answers []string
	for _, s := range []spec{b.gosuper(1), b.bare("bare", 1), b.gosuperWith(1, []string{self(), "agent"})} {
		target, err := b.start(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		defer target.stop()
		response, err := http.Get("http://" + target.addr + "/health")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.Header.Get("X-Worker-Pid") == "" {
			t.Errorf("%s: %v, %v", s.name, response.Header, err)
		}
		response.Header.Del("X-Worker-Pid")
		response.Header.Del("Date")
		answers = append(answers, fmt.Sprint(response.Status, response.Header, string(body)))
	}
	for _, a := range answers[1:] {
		if a != answers[0] {
			t.Errorf("answers differ:\n%s\n%s", answers[0], a)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--help"}, "Scenarios:\n  steady"},
		{[]string{"sprint"}, `no scenario "sprint"`},
		{[]string{"--rounds=0", "steady"}, "rounds"},
		{[]string{"--agent=/nowhere", "steady"}, "--agent"},
		{[]string{"--speed"}, "--speed"},
	} {
		t.Run(tc.args[0], func(t *testing.T) {
			cmd, _ := program(t, tc.args...)
			out, err := cmd.CombinedOutput()
			if (cmd.ProcessState.ExitCode() == exitUsage) != (tc.args[0] != "--help") || !strings.Contains(string(out), tc.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
