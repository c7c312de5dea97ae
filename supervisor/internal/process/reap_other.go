//go:build unix && !linux

package process

import (
	"errors"
	"fmt"
	"syscall"
)

// take reaps one child that has ended, a worker or not; the pid is 0 if there
// is none. Neither syscall nor x/sys can look at a zombie here without taking
// it, so the group of a worker is ended just after its leader was reaped.
func take(known func(pid int) bool) (one Orphan, worker bool, err error) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
		case err == syscall.ECHILD || err == nil && pid == 0:
			return Orphan{}, false, nil
		case err != nil:
			return Orphan{}, false, fmt.Errorf("cannot wait for workers: %w", err)
		default:
			if worker = known(pid); worker {
				_ = KillGroup(pid)
			}
			one = identify(pid)
			one.Ended, one.Status = true, statusOf(status)
			return one, worker, nil
		}
	}
}

// BecomeSubreaper is Linux's.
func BecomeSubreaper() error { return errors.ErrUnsupported }
