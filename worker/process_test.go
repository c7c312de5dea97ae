//go:build linux

package worker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// The tests of real processes start this test binary again. It first runs as a
// shim, which does what gosuper's own does: it puts its process id, known only
// now, into LISTEN_PID and replaces itself by the worker, whose variables it was
// given under names that the package does not look at.
const (
	helperEnv  = "WORKER_TEST_HELPER"
	shimPrefix = "WORKER_TEST_SHIM_"
	shimPID    = "PID" // in a value, stands for the process id
)

// runHelper does what this binary was started for, and exits.
func runHelper(name string) {
	if worker, ok := strings.CutPrefix(name, "shim:"); ok {
		env := []string{helperEnv + "=" + worker, "GORACE=atexit_sleep_ms=0"}
		for _, variable := range os.Environ() {
			if given, ok := strings.CutPrefix(variable, shimPrefix); ok {
				name, value, _ := strings.Cut(given, "=")
				if value == shimPID {
					value = strconv.Itoa(os.Getpid())
				}
				env = append(env, name+"="+value)
			}
		}
		err := unix.Exec("/proc/self/exe", os.Args, env)
		fmt.Fprintln(os.Stderr, err)
		os.Exit(125)
	}
	if err := helpers[name](); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A child is a real worker process, seen by its master.
type child struct {
	cmd      *exec.Cmd
	memory   *scoreboard.Memory
	view     scoreboard.View
	notify   *net.UnixConn // the master's end
	messages chan string
	exited   chan struct{}
	output   strings.Builder // readable after exited
	err      error           // of Wait, after exited
}

// spawn starts a worker that inherits the sockets. Variables in env win over those
// that a master sets.
func spawn(t testing.TB, helper string, held []*net.TCPListener, env ...string) *child {
	t.Helper()
	return spawnIn(t, nil, 0, helper, held, env...)
}

// spawnIn is spawn into a place of a fleet, nil for none.
func spawnIn(t testing.TB, fleet *scoreboard.Fleet, place int, helper string, held []*net.TCPListener, env ...string) *child {
	t.Helper()
	memory, err := scoreboard.Create()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "notify"), os.NewFile(uintptr(pair[1]), "notify")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{
		memory:   memory,
		view:     memory.View(),
		notify:   conn.(*net.UnixConn),
		messages: make(chan string, 100),
		exited:   make(chan struct{}),
	}
	if slices.Contains(env, spare) {
		c.view.Hold()
	}
	var files []*os.File
	for _, l := range held {
		files = append(files, dupListener(t, l))
	}
	n := protocol.ListenFDsStart + len(files)
	defer func() {
		for _, f := range files[:len(held)] {
			f.Close()
		}
	}()
	files = append(files, theirs, memory.File())
	if fleet != nil {
		files = append(files, fleet.File())
		env = append([]string{
			protocol.EnvFleetFD + "=" + strconv.Itoa(n+2),
			protocol.EnvPlace + "=" + strconv.Itoa(place),
		}, env...)
	}
	if slices.ContainsFunc(env, func(variable string) bool { return strings.HasPrefix(variable, protocol.EnvTLSFD+"=") }) {
		certificate := os.NewFile(uintptr(pairFile(t)), "pair")
		defer certificate.Close()
		files = append(files, certificate) // after all the others
	}
	c.start(t, helper, files, append([]string{
		protocol.EnvListenFDs + "=" + strconv.Itoa(len(held)),
		protocol.EnvListenPID + "=" + shimPID,
		protocol.EnvWorkerID + "=7",
		protocol.EnvSlot + "=0",
		protocol.EnvNotifySocket + "=@nobody",
		protocol.EnvNotifyFD + "=" + strconv.Itoa(n),
		protocol.EnvScoreboardFD + "=" + strconv.Itoa(n+1),
		protocol.EnvStopSignal + "=SIGUSR2",
	}, env...))
	go func() {
		defer close(c.messages)
		buf := make([]byte, protocol.MaxNotify)
		for {
			n, err := c.notify.Read(buf)
			if err != nil {
				return
			}
			c.messages <- string(buf[:n])
		}
	}()
	t.Cleanup(func() {
		c.notify.Close()
		memory.Close()
	})
	return c
}

// spawnAlone starts a program without a master.
func spawnAlone(t testing.TB, helper string, files []*os.File, env ...string) *child {
	t.Helper()
	c := &child{exited: make(chan struct{})}
	c.start(t, helper, files, env)
	return c
}

func (c *child) start(t testing.TB, helper string, files []*os.File, env []string) {
	t.Helper()
	use(helper)
	c.cmd = exec.Command("/proc/self/exe")
	c.cmd.ExtraFiles = files
	c.cmd.Stdout, c.cmd.Stderr = &c.output, &c.output
	c.cmd.Env = append(c.cmd.Env, helperEnv+"=shim:"+helper)
	for _, variable := range env {
		c.cmd.Env = append(c.cmd.Env, shimPrefix+variable)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	t.Cleanup(func() {
		c.cmd.Process.Kill()
		<-c.exited
		if t.Failed() && c.output.Len() > 0 {
			t.Logf("process %d wrote:\n%s", c.cmd.Process.Pid, &c.output)
		}
	})
}

// dupListener duplicates the descriptor without clearing O_NONBLOCK, which all
// holders share.
func dupListener(t testing.TB, l *net.TCPListener) *os.File {
	t.Helper()
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var dup int
	var dupErr error
	if err := raw.Control(func(fd uintptr) { dup, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		t.Fatal(err)
	}
	if dupErr != nil {
		t.Fatal(dupErr)
	}
	return os.NewFile(uintptr(dup), "listener")
}

// expect waits for the next message.
func (c *child) expect(t testing.TB, message string) {
	t.Helper()
	if got := await(t, c.messages); got != message {
		t.Fatalf("message %q, want %q", got, message)
	}
}

func (c *child) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// awaitExit expects an exit with status 0.
func (c *child) awaitExit(t testing.TB) {
	t.Helper()
	await(t, c.exited)
	if c.err != nil {
		t.Fatalf("the worker ends with %v", c.err)
	}
}

// used are the helpers that tests have started: one that is never started has
// lost its test.
var (
	usedMu sync.Mutex // guards used
	used   = map[string]bool{}
)

func use(helper string) {
	usedMu.Lock()
	defer usedMu.Unlock()
	used[helper] = true
}

func unusedHelpers() error {
	var errs []error
	for name := range helpers {
		if !used[name] {
			errs = append(errs, fmt.Errorf("no test starts the helper %q", name))
		}
	}
	return errors.Join(errs...)
}
