//go:build linux

package process

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Exit is the end of a worker.
type Exit struct {
	Pid    int
	Status Status
}

// letGoTime is how long Reap waits for the kernel to let go of a child, which takes it
// some microseconds. But it drops what it knows of the child's files in /proc as well,
// and spins for as long as a thread that does the same does not get a processor: that
// of a hostile worker can be a second late.
const letGoTime = 5 * time.Millisecond

// Reaper takes children that have ended. It belongs to one goroutine, and there is one
// in a process.
type Reaper struct {
	wait func(pid int) (syscall.WaitStatus, error)
	late map[int]chan error // what wait returns, by the pid of who is not let go yet
}

// NewReaper returns the one.
func NewReaper() *Reaper { return &Reaper{wait: wait, late: map[int]chan error{}} }

// Reap takes every child that has ended, without waiting for one. Call it
// after each SIGCHLD; signals merge, so it always takes all there are. If the kernel
// keeps it from that SIGCHLD comes once more.
//
// A pid that known accepts is a worker: its process group is killed, then it
// is reaped and returned. Everything else is an orphan that this process
// adopted, as PID 1 or by [BecomeSubreaper].
// Once Reap has returned a pid it may belong to anybody.
//
// What was found before an error is returned with it.
func (r *Reaper) Reap(known func(pid int) bool) (exits []Exit, orphans []Orphan, err error) {
	for pid := range r.late {
		if err := r.over(pid); err != nil {
			return nil, nil, err
		}
	}
	for {
		one, worker, err := r.take(known)
		switch {
		case one.Pid == 0:
			return exits, orphans, err
		case worker:
			exits = append(exits, Exit{Pid: one.Pid, Status: one.Status})
		default:
			orphans = append(orphans, one)
		}
		if err != nil {
			return exits, orphans, err
		}
	}
}

// over forgets a late child that is let go by now. The error is that it never will be.
func (r *Reaper) over(pid int) error {
	select {
	case err := <-r.late[pid]:
		delete(r.late, pid)
		return err
	default:
		return nil
	}
}

// take reaps one child that has ended, a worker or not; the pid is 0 if there
// is none. A worker's group is ended first: while the leader is a zombie its
// pid, and so the group's id, cannot be anyone else's. Afterwards it could.
func (r *Reaper) take(known func(pid int) bool) (one Orphan, worker bool, err error) {
	pid, status, err := peek()
	if err != nil {
		return Orphan{}, false, fmt.Errorf("cannot wait for workers: %w", err)
	}
	if pid == 0 || r.late[pid] != nil {
		return Orphan{}, false, nil
	}
	one = identify(pid)
	if worker = known(pid); worker {
		// There is nothing to do about members that refuse (EPERM: setuid programs).
		_ = KillGroup(pid)
	}
	one.Ended, one.Status = true, status
	return one, worker, r.letGo(pid)
}

// letGo has the kernel let go of a child, and waits for that, but not for long.
func (r *Reaper) letGo(pid int) error {
	gone := make(chan error, 1)
	go func() {
		_, err := r.wait(pid)
		if err != nil {
			err = fmt.Errorf("cannot wait for process %d: %w", pid, err)
		}
		gone <- err
	}()
	limit := time.NewTimer(letGoTime)
	defer limit.Stop()
	select {
	case err := <-gone:
		return err
	case <-limit.C:
	}
	late := make(chan error, 1)
	r.late[pid] = late
	go func() {
		late <- <-gone
		// Others may have ended that it stood before.
		_ = unix.Kill(unix.Getpid(), unix.SIGCHLD)
	}()
	return nil
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
	pid, uid, status   int32
	_                  [26]int32
}

// end is how the child ended, by sigaction(2), SIGCHLD.
func (i *siginfo) end() Status {
	const exited, dumped = 1, 3 // CLD_EXITED, CLD_DUMPED
	if i.code == exited {
		return Status{Code: int(i.status)}
	}
	return Status{Signal: syscall.Signal(i.status), Core: i.code == dumped}
}

const is64bit = ^uint(0) >> 63

// peek returns the pid of a child that has ended, and how, and leaves it a zombie; 0 if
// there is none.
func peek() (pid int, end Status, err error) {
	for {
		// Where no child has ended waitid leaves pid as it is on some kernels,
		// so it must be 0 before.
		var info siginfo
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&info)),
			unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
		switch errno {
		case 0:
			return int(info.pid), info.end(), nil
		case unix.ECHILD:
			return 0, Status{}, nil
		case unix.EINTR:
		default:
			return 0, Status{}, errno
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
