package process

import (
	"fmt"
	"syscall"
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
// adopted, as PID 1 or by [BecomeSubreaper]: reaped and only counted.
// Once Reap has returned a pid it may belong to anybody.
//
// What was found before an error is returned with it.
func Reap(known func(pid int) bool) (exits []Exit, orphans int, err error) {
	for {
		pid, err := peek()
		if err != nil {
			return exits, orphans, fmt.Errorf("cannot wait for workers: %w", err)
		}
		if pid == 0 {
			return exits, orphans, nil
		}
		worker := known(pid)
		if worker {
			// While the leader is a zombie its pid, and so the group's id,
			// cannot be anyone else's. Afterwards it could. There is nothing
			// to do about members that refuse (EPERM: setuid programs).
			_ = KillGroup(pid)
		}
		ws, err := wait(pid)
		if err != nil {
			return exits, orphans, fmt.Errorf("cannot wait for process %d: %w", pid, err)
		}
		if worker {
			exits = append(exits, Exit{Pid: pid, Status: statusOf(ws)})
		} else {
			orphans++
		}
	}
}

func wait(pid int) (syscall.WaitStatus, error) {
	for {
		var ws syscall.WaitStatus
		_, err := syscall.Wait4(pid, &ws, 0, nil)
		if err != syscall.EINTR {
			return ws, err
		}
	}
}
