//go:build linux

package process

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also the master whose death is tested: with roleEnv set
// it runs that role on its main goroutine instead of the tests.
const roleEnv = "PROCESS_TEST_ROLE"

var roles = map[string]func(){
	"master":        roleMaster,
	"threads":       roleThreads,
	"stopped-shim":  roleStoppedShim,
	"ignoring":      roleIgnoring,
	"init":          roleInit,
	"broken-stderr": roleBrokenStderr,
	"hog":           roleHog,
	"stranger":      roleStranger,
	"checker":       roleChecker,
	"waiting":       roleWaiting,
}

// reaper is that of the tests, which are one after the other.
var reaper = NewReaper()

// testTimeout is the cap on waiting for something that always happens.
const testTimeout = 30 * time.Second

func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if role, ok := os.LookupEnv(roleEnv); ok {
		roles[role]()
		os.Exit(0)
	}
	// Whoever runs the tests may have another umask, and workers of other users are this
	// very program.
	syscall.Umask(0o022)
	if self, err := os.Executable(); err != nil || os.Chmod(self, 0o755) != nil {
		fatal(errors.New("cannot make the test program executable for all"))
	}
	// What helpers leave behind comes here, where its end can be seen.
	if err := BecomeSubreaper(); err != nil {
		fatal(err)
	}
	signal.Notify(sigchld, syscall.SIGCHLD)
	done := make(chan int)
	go func() { done <- m.Run() }()
	for {
		select {
		case f := <-mainThread:
			f()
		case code := <-done:
			if code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.list").Value.String() == "" {
				for _, role := range slices.Sorted(maps.Keys(roles)) {
					if _, used := usedRoles.Load(role); !used {
						fmt.Fprintf(os.Stderr, "role %q is never used\n", role)
						code = 1
					}
				}
			}
			os.RemoveAll(buildDir)
			os.Exit(code)
		}
	}
}

var (
	mainThread = make(chan func())
	sigchld    = make(chan os.Signal, 1)
	usedRoles  sync.Map
)

// fatal ends a helper.
func fatal(err error) {
	fmt.Fprintln(os.Stderr, "helper:", err)
	os.Exit(99)
}

func must[T any](v T, err error) T {
	if err != nil {
		fatal(err)
	}
	return v
}

// startOnMain calls Start where it must be called.
func startOnMain(spec Spec) (pid int, err error) {
	done := make(chan struct{})
	mainThread <- func() {
		pid, err = Start(spec)
		close(done)
	}
	<-done
	return pid, err
}

// start starts a child that is certain to be gone at the end of the test.
func start(t *testing.T, spec Spec) (pid int) {
	t.Helper()
	pid, err := startOnMain(spec)
	if err != nil {
		t.Fatal(err)
	}
	lastStarted = pid
	expect(t, pid)
	return pid
}

// expect makes sure that a child, or one that will be adopted, is gone at the
// end of the test, and that its end is not taken for an orphan's.
func expect(t *testing.T, pid int) {
	t.Helper()
	delete(ends, pid) // of another round of -count
	family[pid] = true
	t.Cleanup(func() {
		if _, over := ends[pid]; over {
			return
		}
		if err := KillGroup(pid); err != nil {
			t.Error(err)
		}
		await(t, pid)
	})
}

// family has the children whose ends are awaited, ends has those that came.
// Tests do not run in parallel: one process has one reaper.
var (
	family = map[int]bool{}
	ends   = map[int]Status{}
)

var lastStarted int

// orphanCount is what Reap took for orphans.
var orphanCount int

// await waits for the end of an expected process.
func await(t *testing.T, pid int) Status {
	t.Helper()
	timeout := time.After(testTimeout)
	for {
		exits, orphans, err := reaper.Reap(func(p int) bool { return family[p] }, maps.Keys(family))
		if err != nil {
			t.Fatal(err)
		}
		orphanCount += len(orphans)
		for _, e := range exits {
			delete(family, e.Pid)
			ends[e.Pid] = e.Status
		}
		if status, over := ends[pid]; over {
			for isDeparting(pid) {
				runtime.Gosched()
			}
			return status
		}
		select {
		case <-sigchld:
		case <-timeout:
			t.Fatalf("process %d did not end", pid)
		}
	}
}

// roleEnviron is the environment of a role. Under the race detector a process
// would sleep for a second before its end.
func roleEnviron(role string) []string {
	return append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0")
}

// startRole starts the test binary in a role.
func startRole(t *testing.T, role string, files []int, env ...string) int {
	t.Helper()
	if _, ok := roles[role]; !ok {
		t.Fatalf("no role %q", role)
	}
	usedRoles.Store(role, true)
	return start(t, Spec{
		Path:  "/proc/self/exe",
		Argv:  []string{role},
		Env:   append(roleEnviron(role), env...),
		Files: files,
	})
}

// newPipe makes a pipe of two blocking, close-on-exec descriptors.
func newPipe(t *testing.T) (r, w int) {
	t.Helper()
	r, w, err := pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// reader makes a file of the reading end of a pipe. Reading it fails where a
// child should have written, or ended, long ago.
func reader(t *testing.T, fd int) *os.File {
	t.Helper()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "from child")
	if err := f.SetReadDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// handshake is a pair of pipes with which a test and a child take turns. The
// child's ends are for Spec.Files.
type handshake struct {
	childIn, childOut int
	in                *os.File // from the child
	out               *os.File // to the child
}

func newHandshake(t *testing.T) *handshake {
	t.Helper()
	var h handshake
	var in, out int
	in, h.childOut = newPipe(t)
	h.childIn, out = newPipe(t)
	h.in, h.out = reader(t, in), os.NewFile(uintptr(out), "to child")
	t.Cleanup(func() { h.out.Close() })
	return &h
}

// started closes the child's ends here.
func (h *handshake) started() {
	unix.Close(h.childIn)
	unix.Close(h.childOut)
}

// line reads up to a line end.
func (h *handshake) line(t *testing.T) string {
	t.Helper()
	var line []byte
	b := make([]byte, 1)
	for {
		if _, err := io.ReadFull(h.in, b); err != nil {
			t.Fatalf("child ended its output after %q: %v", line, err)
		}
		if b[0] == '\n' {
			return string(line)
		}
		line = append(line, b[0])
	}
}

// json reads what reportJSON wrote.
func (h *handshake) json(t *testing.T, v any) {
	t.Helper()
	line := h.line(t)
	if err := json.Unmarshal([]byte(line), v); err != nil {
		t.Fatalf("child reported %q: %v", line, err)
	}
}

func reportJSON(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		fatal(err)
	}
}

// outputOf runs a program to its end and returns what it wrote to stdout and
// stderr. Its pid is then in lastStarted.
func outputOf(t *testing.T, spec Spec) (string, Status) {
	t.Helper()
	r, w := newPipe(t)
	for len(spec.Files) < 1 {
		spec.Files = append(spec.Files, Null)
	}
	spec.Files = append(spec.Files[:1:1], append([]int{w, w}, spec.Files[1:]...)...)
	pid := start(t, spec)
	unix.Close(w)
	text, err := io.ReadAll(reader(t, r))
	if err != nil {
		t.Fatal(err)
	}
	return string(text), await(t, pid)
}

// sh is a Spec for a shell script.
func sh(script string) Spec {
	return Spec{Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}}
}
