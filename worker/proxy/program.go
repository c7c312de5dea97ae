//go:build linux

package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
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
