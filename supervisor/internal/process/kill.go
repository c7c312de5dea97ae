//go:build linux

package process

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// freezeRounds bounds how often a [Killer] looks for processes that were made since
// it looked last.
const freezeRounds = 10

// killsAtOnce is how many workers are ended by the same looks at /proc.
const killsAtOnce = 64

// A Killer ends workers with all their processes, in whatever group or session they are:
// their [Tree]s. They are stopped before the first of them dies, for what loses its parent
// is nobody's any more, and a process that is stopped makes no others. That takes its
// time, and is done by a goroutine.
type Killer struct {
	// others are workers that nobody wants killed, as far as it is known, and failed is
	// told what went wrong. The goroutine calls both.
	others func() []int
	failed func(pid int, err error)

	mu      sync.Mutex    // guards what follows
	waiting []held        // to be ended
	idle    chan struct{} // closed when nothing is left to be done; nil: nothing is
}

// held is a process that is meant, and no later one with its pid.
type held struct{ pid, fd int }

// NewKiller returns a killer. others are workers that live, which only spares looking
// whether they belong to one that is killed; failed learns of what cannot be killed. Both
// are called by another goroutine.
func NewKiller(others func() []int, failed func(pid int, err error)) *Killer {
	return &Killer{others: others, failed: failed}
}

// Kill stops a worker, and has it ended with all that it has started. The pid must be one
// that [Reaper.Reap] has not returned yet. Where the kernel has no pidfds (before Linux
// 5.3), or there are no descriptors left, only its group is.
func (k *Killer) Kill(pid int) error {
	if pid <= 1 {
		return KillGroup(pid) // which says why not
	}
	// Who may not be stopped may not be killed either, which is told.
	_, _ = syscall.Kill(-pid, syscall.SIGSTOP), syscall.Kill(pid, syscall.SIGSTOP)
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return KillGroup(pid)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting = append(k.waiting, held{pid, fd})
	if k.idle == nil {
		k.idle = make(chan struct{})
		go k.work()
	}
	return nil
}

// Idle is closed when all is done that was asked for so far.
func (k *Killer) Idle() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.idle == nil {
		idle := make(chan struct{})
		close(idle)
		return idle
	}
	return k.idle
}

// work is the goroutine.
func (k *Killer) work() {
	for {
		others := k.others()
		k.mu.Lock()
		n := min(len(k.waiting), killsAtOnce)
		roots := k.waiting[:n:n]
		k.waiting = k.waiting[n:]
		if n == 0 {
			close(k.idle)
			k.idle = nil
			k.mu.Unlock()
			return
		}
		k.mu.Unlock()
		for i, err := range killTrees(roots, others) {
			if err != nil {
				k.failed(roots[i].pid, err)
			}
			unix.Close(roots[i].fd)
		}
	}
}

// killTrees ends workers that are stopped, with their trees, and says what went wrong with
// each. One that is reaped meanwhile is left alone: its pid may be another's.
func killTrees(roots []held, others []int) []error {
	pids := make([]int, len(roots))
	for i, root := range roots {
		pids[i] = root.pid
	}
	errs, all := make([]error, len(roots)), make([]map[int]int, len(roots))
	for i := range all {
		all[i] = map[int]int{} // pidfds of the others in its tree
	}
	var err error
	for range freezeRounds {
		var trees []Tree
		if trees, err = Trees(pids, others...); err != nil {
			break
		}
		news := false
		for i, t := range trees {
			news = freeze(t[1:], all[i]) || news
		}
		if !news {
			break
		}
	}
	// While they are stopped whoever they descend from cannot reap them, and a number
	// that was another's before it was held is none of the tree.
	trees, lastErr := Trees(pids, others...)
	for i, root := range roots {
		errs[i] = errors.Join(err, lastErr)
		there := lastErr == nil && unix.PidfdSendSignal(root.fd, 0, nil, 0) != unix.ESRCH
		for pid, fd := range all[i] {
			sig := syscall.SIGCONT
			if there && slices.Contains(trees[i], pid) {
				sig = syscall.SIGKILL
			}
			errs[i] = errors.Join(errs[i], signalHeld(fd, sig))
			unix.Close(fd)
		}
		// The rest of its group ends when it is reaped.
		errs[i] = errors.Join(errs[i], signalHeld(root.fd, syscall.SIGKILL))
	}
	return errs
}

// freeze stops the processes that are not stopped yet, and says whether there were any.
func freeze(pids []int, stopped map[int]int) (news bool) {
	for _, pid := range pids {
		if _, known := stopped[pid]; known {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it is gone
		}
		stopped[pid], news = fd, true
		_ = signalHeld(fd, syscall.SIGSTOP)
	}
	return news
}

// signalHeld sends a signal to a process that is held, if it is there.
func signalHeld(fd int, sig syscall.Signal) error {
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("cannot send %v to a process of a worker: %w", sig, err)
	}
	return nil
}

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
