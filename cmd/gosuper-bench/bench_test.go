//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
		if s.specs == nil {
			continue // it is for Python alone
		}
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

// TestColumns: the table has the targets that were asked for and no others, and says
// how gosuper compares with each in what a request costs and how long it takes.
func TestColumns(t *testing.T) {
	// Long enough to be seen in ticks of the clock by which processors are accounted for.
	cmd, _ := program(t, "--rounds=1", "--duration=1s", "--connections=4", "--against=one bare", "--variant=GOMAXPROCS=1", "steady")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	if want := "| scenario | figure | gosuper | one bare | gosuper GOMAXPROCS=1 |"; lines[0] != want {
		t.Errorf("columns are %s, want %s", lines[0], want)
	}
	for _, figure := range []string{"requests per second", "CPU time per request", "p50", "p99", "p99.9", "longest", "client's own wait: p99", "client's own wait: longest"} {
		i := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, "| "+figure+" |") })
		if i < 0 || strings.Count(lines[i], "; ratio ") != 2 {
			t.Errorf("no ratios of %q in\n%s", figure, out)
		}
	}
}

// TestHop: what stands before the program is weighed, and nothing else is.
func TestHop(t *testing.T) {
	cmd, _ := program(t, "--rounds=1", "--duration=100ms", "--connections=4", "--against=bare", "hop")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if weight := regexp.MustCompile(`(?m)^\| +\| PSS of the hop \| [1-9][0-9.]* MiB \| – \|$`); !weight.Match(out) {
		t.Errorf("no weight of the front alone in\n%s", out)
	}
}

// TestFew: workers that are full are those of the target.
func TestFew(t *testing.T) {
	b := &bench{options: options{gosuper: "gosuper"}}
	many := b.gosuperWith(4, []string{"node", "agent.cjs"}, "--timeout", "1s")
	got, want := many.few(), "gosuper -b fd://3 -w 2 --worker-connections 2 --log-format json --timeout 1s -- node agent.cjs"
	if words := strings.Join(got.args, " "); words != want || got.workers != 2 || many.args[4] != "4" {
		t.Errorf("%+v of %+v", got, many)
	}
}

// TestVariant: the workers of a variant have its variable, and others do not.
func TestVariant(t *testing.T) {
	b := &bench{options: options{variants: []string{brand + "=of a variant"}}}
	specs := b.choose([]spec{b.gosuper(2), b.bare("bare", 2)})
	if len(specs) != 3 || specs[0].env != nil || specs[1].env != nil {
		t.Fatalf("%+v", specs)
	}
	runtime.LockOSThread() // targets live as long as the thread
	b.options.gosuper, b.agent, b.dir = filepath.Join(bin, "gosuper"), filepath.Join(bin, "agent-server"), t.TempDir()
	target, err := b.start(t.Context(), b.choose([]spec{b.gosuper(2)})[1])
	if err != nil {
		t.Fatal(err)
	}
	defer target.stop()
	if n := branded(brand + "=of a variant"); n != 3 {
		t.Errorf("%d processes have the variable, want the master and two workers", n)
	}
}

// TestSessions: bare processes have a session each, as workers of gosuper have, since
// the kernel may share out processors by session.
func TestSessions(t *testing.T) {
	runtime.LockOSThread() // targets live as long as the thread
	t.Setenv(asProgram, "1")
	b := &bench{dir: t.TempDir()}
	target, err := b.start(t.Context(), b.bare("bare", 2))
	if err != nil {
		t.Fatal(err)
	}
	defer target.stop()
	for _, pid := range target.roots() {
		if sid, err := unix.Getsid(pid); sid != pid || err != nil {
			t.Errorf("process %d is of session %d, %v", pid, sid, err)
		}
	}
}

// TestPairs: the two of a pair work and rest for as long as each other, and none stays
// for long.
func TestPairs(t *testing.T) {
	runtime.LockOSThread() // targets live as long as the thread
	t.Setenv(asProgram, "1")
	b := &bench{options: options{rounds: lasts + 1}, dir: t.TempDir(), stderr: io.Discard}
	runs := map[*target]int{}
	var order []string
	err := b.play(t.Context(), scenario{
		lasting: true,
		specs: func(b *bench) []spec {
			return []spec{b.bare("gosuper", 1), b.bare("one", 1), b.bare("other", 1)}
		},
		run: func(_ context.Context, _ *bench, target *target) (sample, error) {
			runs[target]++
			order = append(order, target.name)
			return sample{perSecond("runs", 1)}, nil
		},
	}, new(report))
	if err != nil {
		t.Fatal(err)
	}
	var counts []int
	for _, n := range runs {
		counts = append(counts, n-1) // less the one that warms it up
	}
	slices.Sort(counts)
	if want := []int{1, 1, 1, 1, lasts, lasts, lasts, lasts}; !slices.Equal(counts, want) {
		t.Errorf("targets had %v runs, want %v; in this order: %v", counts, want, order)
	}
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
	for _, s := range []spec{b.gosuper(1), b.bare("bare", 1), b.ours(1)} {
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
		{[]string{"--against=nobody", "steady"}, `no target "nobody"`},
		{[]string{"--variant=nothing", "steady"}, "NAME=VALUE"},
		{[]string{"--python", "steady"}, "--python needs --venv"},
		{[]string{"--node", "steady"}, "--node needs --modules"},
		{[]string{"--app=flask", "steady"}, `no application "flask"`},
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
