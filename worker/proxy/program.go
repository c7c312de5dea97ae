//go:build linux

package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A program is the one behind the front.
type program struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
}

// start starts the program. It must be called on the main thread, with whose end that of
// the process, and of the program, has come.
func start(o options, p *place) (*program, error) {
	cmd := &exec.Cmd{
		Path: o.path, Stdout: os.Stdout, Stderr: os.Stderr,
		Env:         p.environ(os.Environ(), o.env),
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
	if o.limitAS != 0 {
		cmd.Path, cmd.Args = "/proc/self/exe", []string{confinedName, strconv.FormatUint(o.limitAS, 10), o.path}
	}
	for _, word := range o.argv {
		cmd.Args = append(cmd.Args, p.expand(word))
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the program: %w", err)
	}
	g := &program{cmd: cmd, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // ProcessState has it
		close(g.ended)
	}()
	return g, nil
}

// exitOf is the exit status that says, as in a shell, why a program could not be started.
func exitOf(err error) int {
	if errors.Is(err, fs.ErrNotExist) {
		return 127
	}
	return 126
}

// signal sends the program a signal, unless it has ended.
func (g *program) signal(sig syscall.Signal) { _ = g.cmd.Process.Signal(sig) }

// dead reports whether the program has ended.
func (g *program) dead() bool {
	select {
	case <-g.ended:
		return true
	default:
		return false
	}
}

// exiting is PF_EXITING of the kernel, in the flags that proc(5) tells.
const exiting = 0x4

// ending reports whether the program has ended or is about to: it gives up its sockets
// before its parent hears of it.
func (g *program) ending() bool {
	if g.dead() {
		return true
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest) // state, parent, group, session, terminal, its group, flags
	if err != nil || len(fields) < 7 {
		return true // it was there a moment ago
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return err == nil && flags&exiting != 0
}

// end is how the program ended, for people.
func (g *program) end() string {
	if g.cmd.ProcessState.Success() {
		return "exit status 0; it must stay in the foreground"
	}
	return g.cmd.ProcessState.String()
}

// follow ends this process as the program ended: the master tells the end of a worker
// from its status.
func (g *program) follow() int {
	status, ok := g.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return g.cmd.ProcessState.ExitCode()
	}
	// The core is the program's, this one would tell nothing.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	// Go's own handlers print stacks at some. The zero value is SIG_DFL.
	var action [8]uintptr
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(status.Signal()), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	_ = unix.Kill(os.Getpid(), status.Signal())
	select {} // until it arrives
}

// confinedName is the argv[0] of a process that becomes the program, within a limit of
// address space that is not the front's: most of what a front has of that it reserves
// without using it. The limit follows, then the file of the program, and its argv.
const confinedName = "gosuper: confined"

// spare is what the last steps of confine may need of memory: environment and arguments
// of any size that exec accepts would be 2 MiB.
const spare = 4 << 20

// confine becomes the program. It returns the exit status if it cannot.
func confine(args []string) int {
	if len(args) < 3 {
		return 2
	}
	limit, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return 2
	}
	environ := os.Environ()
	// Within the limit the kernel may give Go's runtime nothing more. What was freed
	// before is used again.
	runtime.KeepAlive(make([]byte, spare))
	runtime.GC()
	debug.SetGCPercent(-1)
	err = unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: limit})
	if err == nil {
		err = syscall.Exec(args[1], args[2:], environ)
	}
	complain("cannot start the program within limits.as: %v", err)
	return exitOf(err)
}
