//go:build linux

package process

import (
	"runtime"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// One that was sent SIGKILL is known as such before it has begun to end, and until it is
// reaped.
func TestAdoptedKilled(t *testing.T) {
	runtime.LockOSThread() // whoever traces is a thread
	defer runtime.UnlockOSThread()
	pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "1000"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}})
	if err != nil {
		t.Fatal(err)
	}
	stops := func() syscall.WaitStatus {
		status, err := wait(pid)
		if err != nil || !status.Stopped() {
			t.Fatalf("process %d: status %#x, %v", pid, status, err)
		}
		return status
	}
	look := func() (ended, killed bool) {
		all := Adopted(func(int) bool { return false })
		at := slices.IndexFunc(all, func(o Orphan) bool { return o.Pid == pid })
		if at < 0 {
			t.Fatalf("process %d is not among %v", pid, all)
		}
		return all[at].Ended, all[at].Killed
	}
	stops() // at its exec
	if err := syscall.PtraceSetOptions(pid, unix.PTRACE_O_TRACEEXIT); err != nil {
		t.Fatal(err)
	}
	if err := syscall.PtraceCont(pid, 0); err != nil {
		t.Fatal(err)
	}
	if ended, killed := look(); ended || killed {
		t.Errorf("one that sleeps: ended %v, killed %v", ended, killed)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if status := stops(); status.TrapCause() != unix.PTRACE_EVENT_EXIT {
		t.Fatalf("status %#x", status)
	}
	if ended, killed := look(); ended || !killed {
		t.Errorf("one that is about to end: ended %v, killed %v", ended, killed)
	}
	if err := syscall.PtraceCont(pid, 0); err != nil {
		t.Fatal(err)
	}
	for waiting := true; waiting; {
		gone, _, err := peek(unix.P_PID, pid)
		if err != nil {
			t.Fatal(err)
		}
		waiting = gone != pid
	}
	if ended, killed := look(); !ended || !killed {
		t.Errorf("one that has ended: ended %v, killed %v", ended, killed)
	}
	if _, err := wait(pid); err != nil {
		t.Error(err)
	}
}
