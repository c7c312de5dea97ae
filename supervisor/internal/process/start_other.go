//go:build unix && !linux

package process

import (
	"os"
	"syscall"
)

// executable is a path here, so a binary replaced under a running master
// starts the next worker's shim from the new one.
func executable() (string, error) { return os.Executable() }

// CheckSystem says whether there is what it takes to start workers.
func CheckSystem() error { return nil }

func fork(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	return syscall.ForkExec(path, argv, attr)
}

// onMainThread cannot tell, and need not: the death signal it protects is
// Linux's.
func onMainThread() bool { return true }
