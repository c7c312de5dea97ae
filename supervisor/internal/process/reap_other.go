//go:build unix && !linux

package process

import (
	"errors"
	"fmt"
	"syscall"
)

// take reaps one child that has ended; pid is 0 if there is none. Neither
// syscall nor x/sys can look at a zombie here without taking it, so the group
// of a worker is ended just after its leader was reaped.
func take(known func(pid int) bool) (pid int, status syscall.WaitStatus, err error) {
	for {
		pid, err = syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch err {
		case nil:
			if pid > 0 && known(pid) {
				_ = KillGroup(pid)
			}
			return pid, status, nil
		case syscall.ECHILD:
			return 0, 0, nil
		case syscall.EINTR:
		default:
			return 0, 0, fmt.Errorf("cannot wait for workers: %w", err)
		}
	}
}

// BecomeSubreaper is Linux's.
func BecomeSubreaper() error { return errors.ErrUnsupported }
