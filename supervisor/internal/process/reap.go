//go:build linux

package process

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Exit is the end of a worker.
type Exit struct {
	Pid    int
	Status Status
}

// Reap takes every child that has ended, without waiting for one. Call it
// after each SIGCHLD; signals merge, so it always takes all there are.
//
// A pid that known accepts is a worker: its process group is killed, then it
// is reaped and returned. Everything else is an orphan that this process
// adopted, as PID 1 or by [BecomeSubreaper].
// Once Reap has returned a pid it may belong to anybody.
//
// What was found before an error is returned with it.
func Reap(known func(pid int) bool) (exits []Exit, orphans []Orphan, err error) {
	for {
		one, worker, err := take(known)
		switch {
		case err != nil || one.Pid == 0:
			return exits, orphans, err
		case worker:
			exits = append(exits, Exit{Pid: one.Pid, Status: one.Status})
		default:
			orphans = append(orphans, one)
		}
	}
}

// take reaps one child that has ended, a worker or not; the pid is 0 if there
// is none. A worker's group is ended first: while the leader is a zombie its
// pid, and so the group's id, cannot be anyone else's. Afterwards it could.
func take(known func(pid int) bool) (one Orphan, worker bool, err error) {
	pid, err := peek()
	if err != nil {
		return Orphan{}, false, fmt.Errorf("cannot wait for workers: %w", err)
	}
	if pid == 0 {
		return Orphan{}, false, nil
	}
	one = identify(pid)
	if worker = known(pid); worker {
		// There is nothing to do about members that refuse (EPERM: setuid programs).
		_ = KillGroup(pid)
	}
	status, err := wait(pid)
	if err != nil {
		return Orphan{}, false, fmt.Errorf("cannot wait for process %d: %w", pid, err)
	}
	one.Ended, one.Status = true, statusOf(status)
	return one, worker, nil
}

func wait(pid int) (status syscall.WaitStatus, err error) {
	for {
		_, err = syscall.Wait4(pid, &status, 0, nil)
		if err != syscall.EINTR {
			return status, err
		}
	}
}

// siginfo is siginfo_t as waitid(2) fills it in. The fields from pid on are a
// union that holds pointers, so 64-bit machines align it.
type siginfo struct {
	signo, errno, code int32
	_                  [is64bit]int32
	pid                int32
	_                  [28]int32
}

const is64bit = ^uint(0) >> 63

// peek returns the pid of a child that has ended and leaves it a zombie; 0 if
// there is none.
func peek() (int, error) {
	for {
		// Where no child has ended waitid leaves pid as it is on some kernels,
		// so it must be 0 before.
		var info siginfo
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&info)),
			unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
		switch errno {
		case 0:
			return int(info.pid), nil
		case unix.ECHILD:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// BecomeSubreaper makes this process the parent of every descendant whose own
// parent ends (prctl(2), PR_SET_CHILD_SUBREAPER), so that what a worker leaves
// behind is reaped here. PID 1 is that already. Children do not inherit it, an
// exec keeps it.
func BecomeSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot become the subreaper: %w", err)
	}
	return nil
}
