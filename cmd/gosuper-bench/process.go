//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	bootTime  = time.Minute     // within which a process has to be ready
	stopTime  = 3 * time.Second // within which it has to follow a signal; then it is killed
	keptLines = 20              // of what it wrote, for an error
)

// process is one that a target consists of. What it and its children write comes
// here.
type process struct {
	cmd   *exec.Cmd
	mark  string        // is in a line for each part that is ready
	ready chan struct{} // closed when all parts are
	done  chan struct{} // closed when the process has ended

	mu      sync.Mutex // guards what follows
	missing int        // parts that are not ready yet
	rest    string     // a line without its end
	lines   []string   // the last ones
}

// begin starts a command; the socket becomes its descriptor 3. It must be called
// on the main goroutine.
func begin(cmd *exec.Cmd, socket *os.File, mark string, parts int) (*process, error) {
	p := &process{cmd: cmd, mark: mark, missing: parts, ready: make(chan struct{}), done: make(chan struct{})}
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Stdout, cmd.Stderr = p, p
	// Whoever survives the process may have its output open.
	cmd.WaitDelay = time.Second
	// A session of its own, so that ^C reaches this program alone, which ends its
	// targets one after the other, and so that bare processes get what gosuper's workers
	// have: where the kernel groups by session what shares the processors
	// (sched_autogroup_enabled), those of one session share the turn of one.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		// How it ended matters only before it was ready.
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// Write takes what the process says.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := strings.Split(p.rest+string(text), "\n")
	p.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		if strings.Contains(line, p.mark) {
			if p.missing--; p.missing == 0 {
				close(p.ready)
			}
		}
		p.lines = append(p.lines, line)
	}
	p.lines = p.lines[max(len(p.lines)-keptLines, 0):]
	return len(text), nil
}

// await waits until all parts are ready.
func (p *process) await(ctx context.Context) error {
	var err error
	select {
	case <-p.ready:
		return nil
	case <-p.done:
		err = errors.New(p.cmd.ProcessState.String())
	case <-time.After(bootTime):
		err = fmt.Errorf("not ready after %s", bootTime)
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("cannot start %s: %w\n%s", strings.Join(p.cmd.Args, " "), err, strings.Join(p.lines, "\n"))
}

// ended reports whether the process ends within the time.
func (p *process) ended(within time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(within):
		return false
	}
}

// end ends processes and all that came of them: by the signal with which each ends
// soonest, then by SIGKILL.
func end(processes []*process) {
	pids := make([]int, len(processes))
	for i, p := range processes {
		pids[i] = p.pid()
	}
	all := family(pids...)
	for _, p := range processes {
		p.cmd.Process.Signal(syscall.SIGINT)
	}
	until := time.Now().Add(stopTime)
	for _, p := range processes {
		if !p.ended(time.Until(until)) {
			all = append(all, family(p.pid())...) // it may have got more children
			p.cmd.Process.Kill()
			<-p.done
		}
	}
	// What lost its parent is a child of this process now, so a pid that is one of
	// ours still means the same process.
	us := os.Getpid()
	for _, s := range all {
		if now, err := readStat(s.pid); err == nil && now.parent == us {
			unix.Kill(s.pid, unix.SIGKILL)
			unix.Wait4(s.pid, nil, 0, nil)
		}
	}
}
