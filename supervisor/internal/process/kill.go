//go:build linux

package process

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// freezeRounds bounds how often [KillTree] looks for processes that were made since
// it looked last.
const freezeRounds = 10

// KillTree is [KillGroup] for all processes of a worker, in whatever group or session
// they are: its [Tree]. They are stopped before the first of them dies, for what loses
// its parent is nobody's any more, and a process that is stopped makes no others.
func KillTree(pid int) error {
	if pid <= 1 {
		return KillGroup(pid) // which says why not
	}
	// Who may not be stopped may not be killed either, which is told.
	_, _ = syscall.Kill(-pid, syscall.SIGSTOP), syscall.Kill(pid, syscall.SIGSTOP)
	var errs []error
	held := map[int]int{} // pidfds of the others
	for range freezeRounds {
		trees, err := Trees([]int{pid})
		if err != nil {
			errs = append(errs, err)
			break
		}
		news := false
		for _, other := range trees[0][1:] {
			if _, known := held[other]; known {
				continue
			}
			news = true
			held[other] = hold(other)
			_ = signalHeld(held[other], syscall.SIGSTOP)
		}
		if !news {
			break
		}
	}
	// While they are stopped whoever they descend from cannot reap them, and a number
	// that was another's before it was held is none of the tree.
	trees, err := Trees([]int{pid})
	errs = append(errs, err)
	for other, fd := range held {
		sig := syscall.SIGCONT
		if err == nil && slices.Contains(trees[0], other) {
			sig = syscall.SIGKILL
		}
		errs = append(errs, signalHeld(fd, sig))
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	return errors.Join(append(errs, KillGroup(pid))...)
}

// hold makes sure that a process is meant, and no later one with its pid; -1: it is
// gone, or the kernel is older than Linux 5.3.
func hold(pid int) (fd int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1
	}
	return fd
}

// signalHeld sends a signal to a process that is held, if it is.
func signalHeld(fd int, sig syscall.Signal) error {
	if fd < 0 {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("cannot send %v to a process of a worker: %w", sig, err)
	}
	return nil
}
