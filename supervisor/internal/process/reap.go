//go:build linux

package process

import (
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Exit is the end of a worker.
type Exit struct {
	Pid    int
	Status Status
}

// letGoMost is how many children the kernel is asked to let go of at a time.
const letGoMost = 16

// Reaper takes children that have ended. There is one in a process.
type Reaper struct {
	wait   func(pid int) (syscall.WaitStatus, error)
	turns  chan struct{}         // has room for those that are let go at a time
	failed atomic.Pointer[error] // why one never will be; nil: none, or it was returned
}

// NewReaper returns the one.
func NewReaper() *Reaper { return &Reaper{wait: wait, turns: make(chan struct{}, letGoMost)} }

// departing are the children that Reap has returned, and the kernel has not let go of
// yet. It takes some microseconds for that. But it drops what it knows of the child's
// files in /proc as well, and spins for as long as a thread that does the same does not
// get a processor: that of a hostile worker can be a second late.
var departing struct {
	sync.Mutex
	pids map[int]bool
}

// isDeparting says whether the pid is one of those.
func isDeparting(pid int) bool {
	departing.Lock()
	defer departing.Unlock()
	return departing.pids[pid]
}

// Reap takes all of the workers that have ended, and what else has as far as it can be
// seen beside them. It waits for nothing: the kernel lets go of those later, and SIGCHLD
// comes once more if somebody else is to be seen then. Call it after each SIGCHLD, by one
// goroutine; signals merge.
//
// A pid that known accepts is of this process's making: its process group is killed, then
// it is reaped and returned. Everything else is an orphan that this process adopted, as
// PID 1 or by [BecomeSubreaper].
// Once Reap has returned a pid it may belong to anybody.
//
// What was found before an error is returned with it.
func (r *Reaper) Reap(known func(pid int) bool, workers iter.Seq[int]) (exits []Exit, orphans []Orphan, err error) {
	if failed := r.failed.Swap(nil); failed != nil {
		return nil, nil, *failed
	}
	pid, status, fresh, err := glance(unix.P_ALL, 0)
	if pid == 0 || err != nil {
		return nil, nil, err
	}
	switch {
	case fresh && known(pid):
		exits = append(exits, r.take(pid, status))
	case fresh:
		one := identify(pid)
		one.Ended, one.Status = true, status
		if status.Signal == syscall.SIGKILL {
			one.Ignored = new(procReader).signals(pid, "SigIgn")
		}
		orphans = append(orphans, one)
		r.letGo(pid)
	}
	// That is the first whom the kernel comes across, again and again until it lets go.
	for worker := range workers {
		if pid, status, fresh, err = glance(unix.P_PID, worker); err != nil {
			return exits, orphans, err
		}
		if fresh {
			exits = append(exits, r.take(pid, status))
		}
	}
	return exits, orphans, nil
}

// glance is peek, and says whether Reap has not returned that child yet.
func glance(which, id int) (pid int, status Status, fresh bool, err error) {
	departing.Lock() // else one could depart between the two questions
	defer departing.Unlock()
	pid, status, err = peek(which, id)
	return pid, status, pid != 0 && !departing.pids[pid], err
}

// take reaps a child that was started here. Its group is ended first: while the leader is
// a zombie its pid, and so the group's id, cannot be anyone else's. Afterwards it could.
func (r *Reaper) take(pid int, status Status) Exit {
	// There is nothing to do about members that refuse (EPERM: setuid programs).
	_ = KillGroup(pid)
	r.letGo(pid)
	return Exit{Pid: pid, Status: status}
}

// letGo has the kernel let go of a child.
func (r *Reaper) letGo(pid int) {
	departing.Lock()
	defer departing.Unlock()
	if departing.pids == nil {
		departing.pids = map[int]bool{}
	}
	departing.pids[pid] = true
	go func() {
		r.turns <- struct{}{}
		_, err := r.wait(pid)
		<-r.turns
		if err != nil {
			err = fmt.Errorf("cannot wait for process %d: %w", pid, err)
			r.failed.Store(&err)
		}
		departing.Lock()
		delete(departing.pids, pid)
		last := len(departing.pids) == 0
		departing.Unlock()
		if other, _, _ := peek(unix.P_ALL, 0); last && other != 0 || err != nil {
			_ = unix.Kill(unix.Getpid(), unix.SIGCHLD)
		}
	}()
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
// there is none. Which children are meant is as in waitid(2).
func peek(which, id int) (pid int, end Status, err error) {
	for {
		// Where no child has ended waitid leaves pid as it is on some kernels,
		// so it must be 0 before.
		var info siginfo
		_, _, errno := unix.RawSyscall6(unix.SYS_WAITID, uintptr(which), uintptr(id), uintptr(unsafe.Pointer(&info)),
			unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
		switch errno {
		case 0:
			return int(info.pid), info.end(), nil
		case unix.ECHILD:
			return 0, Status{}, nil
		case unix.EINTR:
		default:
			return 0, Status{}, fmt.Errorf("cannot wait for workers: %w", errno)
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

// Status is how a process ended. The zero value is success.
type Status struct {
	Code   int            // exit status, if Signal is 0
	Signal syscall.Signal // the signal that ended it, 0 if it exited
	Core   bool           // a core was dumped; only with a Signal
}

// String returns "exit status 3", "killed by SIGKILL" or, for the signals by
// which a program breaks, what a shell would say: "aborted (SIGABRT, core
// dumped)".
func (s Status) String() string {
	if s.Signal == 0 {
		return fmt.Sprintf("exit status %d", s.Code)
	}
	name := unix.SignalName(s.Signal)
	if name == "" {
		name = fmt.Sprintf("signal %d", int(s.Signal))
	}
	core := ""
	if s.Core {
		core = ", core dumped"
	}
	switch s.Signal {
	case syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL:
		return fmt.Sprintf("%v (%s%s)", s.Signal, name, core)
	}
	return "killed by " + name + core
}
