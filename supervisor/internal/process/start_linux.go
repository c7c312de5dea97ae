package process

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/terminal"
)

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
