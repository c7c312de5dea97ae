//go:build linux

package process

import (
	"errors"
	"fmt"
	"syscall"
)

// Signal sends sig to the leader of a worker's group, the worker itself. That
// it has ended already is not an error. The pid must be one that [Reap] has
// not returned yet.
func Signal(pid int, sig syscall.Signal) error { return kill(pid, pid, sig) }

// Continue lets a stopped worker run again, so that it can act on the signals
// it got while stopped.
func Continue(pid int) error { return kill(pid, pid, syscall.SIGCONT) }

// InterruptGroup sends SIGINT to a process that is no worker, and to everything
// that stayed in its process group: what a terminal does on Ctrl-C.
func InterruptGroup(pid int) error { return kill(pid, -pid, syscall.SIGINT) }

// KillGroup sends SIGKILL to the worker and everything that stayed in its
// process group. The worker itself is meant also where it is in another group by
// now.
func KillGroup(pid int) error {
	return errors.Join(kill(pid, -pid, syscall.SIGKILL), kill(pid, pid, syscall.SIGKILL))
}

// kill never passes on what kill(2) takes for "everybody": 0, -1, and PID 1.
func kill(pid, target int, sig syscall.Signal) error {
	if pid <= 1 {
		return fmt.Errorf("cannot send %v: %d is not a worker's pid", sig, pid)
	}
	if err := syscall.Kill(target, sig); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("cannot send %v to %d: %w", sig, target, err)
	}
	return nil
}
