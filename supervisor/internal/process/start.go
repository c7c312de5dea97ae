//go:build linux

package process

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/process/shim"
	"github.com/gosuper/gosuper/supervisor/internal/terminal"
)

// Null in [Spec.Files] stands for /dev/null, open for reading and writing.
const Null = -1

// Spec describes a worker to start. Path alone is enough.
type Spec struct {
	// Path is the executable. A relative one is relative to Dir; PATH is not
	// searched.
	Path string

	// Argv is the whole argument list with argv[0]; empty means Path alone.
	Argv []string

	// Env is the whole environment as "KEY=value", handed on entry by entry.
	// The value of LISTEN_PID, where present, becomes the worker's pid.
	Env []string

	// Dir is the working folder, entered as the worker's user; "" keeps the
	// master's.
	Dir string

	// Files are the worker's descriptors from 0 on, by their numbers in the
	// master. They stay open here, and are neither read nor changed. Up to
	// stderr, what is missing is Null. The worker inherits no others.
	Files []int

	// Umask is the file mode creation mask; nil keeps the master's.
	Umask *int

	// Credential is the user to run as; nil keeps the master's. Any other than
	// root has no capabilities, and cannot get any.
	Credential *Credential

	// Limits are what the worker may use; the zero value keeps the master's.
	Limits Limits

	// Executed is called once, by another goroutine, when the worker's own
	// program has taken the place of the shim, or the process ended before
	// that; nil: nobody wants to know.
	Executed func()
}

// Start starts a worker as the leader of a session and a process group of its own
// and returns its pid: no terminal can stop it, or takes it along when its window
// is closed. It has default signal dispositions, an empty signal mask and
// unless Limits has another the soft RLIMIT_NOFILE that the master was started
// with, and is killed when the master ends.
//
// Start returns once the child has become the shim, in the order of a
// millisecond. An error, a *[StartError], means that no child came to be. What fails later, the
// worker's own exec above all, is written to the worker's stderr as
// "gosuper: error: ..." with a hint, and its exit status is 127 if the
// executable does not exist, else 126.
//
// The caller must be locked to the main thread of the process; from any other
// Start refuses, since the worker would die with that thread.
func Start(spec Spec) (pid int, err error) {
	if !onMainThread() {
		return 0, &StartError{Err: errors.New("not on the main thread")}
	}
	exe, err := executable()
	if err != nil {
		return 0, &StartError{Err: err}
	}
	files, err := spec.files()
	if err != nil {
		return 0, &StartError{Err: err}
	}
	environ := spec.plan(len(files)).Environ()
	watched, err := spec.watchExec(&files)
	if err != nil {
		return 0, &StartError{Err: err}
	}
	defer func() { watched(err == nil) }()
	pid, err = fork(exe, []string{"gosuper: starting", spec.Path}, &syscall.ProcAttr{
		Env:   environ,
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, spec.refused(exe, environ, err)
	}
	return pid, nil
}

func (s *Spec) plan(files int) *shim.Plan {
	p := &shim.Plan{
		Master: os.Getpid(),
		Path:   s.Path,
		Dir:    s.Dir,
		Argv:   s.Argv,
		Env:    s.Env,
		Files:  files,
		Umask:  -1,
		Limits: s.Limits.plan(),
	}
	if len(p.Argv) == 0 {
		p.Argv = []string{s.Path}
	}
	if s.Umask != nil {
		p.Umask = *s.Umask
	}
	if c := s.Credential; c != nil {
		p.User = &shim.User{UID: c.Uid, GID: c.Gid, Groups: c.Groups}
	}
	return p
}

// files returns the child's descriptors as syscall wants them. It takes raw
// numbers, where os/exec would call Fd on each file.
func (s *Spec) files() ([]uintptr, error) {
	files := make([]uintptr, max(3, len(s.Files)))
	for i := range files {
		fd := Null
		if i < len(s.Files) {
			fd = s.Files[i]
		}
		if fd == Null {
			var err error
			if fd, err = DevNull(); err != nil {
				return nil, err
			}
		}
		files[i] = uintptr(fd)
	}
	return files, nil
}

// DevNull is the descriptor that [Null] stands for. It is opened once and for good:
// reopening it for every worker could fail when the master is out of descriptors,
// just when workers must be replaced.
var DevNull = sync.OnceValues(func() (int, error) {
	fd, err := syscall.Open(os.DevNull, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("cannot open %s: %w", os.DevNull, err)
	}
	return fd, nil
})

// executable is the image that is running, even when its file has been replaced
// by the next version or is gone.
func executable() (string, error) { return self, nil }

const self = "/proc/self/exe"

// CheckSystem says whether there is what it takes to start workers.
func CheckSystem() error {
	if _, err := os.Stat(self); err != nil {
		return &StartError{Err: err, Hint: NeedsProc}
	}
	return nil
}

// fork is syscall.ForkExec, with the signals of job control blocked in the child
// until the shim resets its mask. Up to its setsid the child belongs to the group of
// the master, and one that a terminal stops there would keep the master, which waits
// for its exec, in the kernel for good.
func fork(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	defer terminal.Block(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)()
	return syscall.ForkExec(path, argv, attr)
}

func onMainThread() bool { return unix.Gettid() == unix.Getpid() }

// watchExec adds a descriptor that closes when the shim executes the worker's
// program, and reports that. The function it returns is to be called when the
// shim was started, or was not.
func (s *Spec) watchExec(files *[]uintptr) (started func(bool), err error) {
	if s.Executed == nil {
		return func(bool) {}, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	*files = append(*files, uintptr(fds[1]))
	return func(ok bool) {
		unix.Close(fds[1])
		r := os.NewFile(uintptr(fds[0]), "exec")
		if !ok {
			r.Close()
			return
		}
		go func() {
			var b [1]byte
			_, _ = r.Read(b[:]) // nobody writes: it returns at the end of file
			r.Close()
			s.Executed()
		}()
	}, nil
}
