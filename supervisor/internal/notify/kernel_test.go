//go:build linux

package notify

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

func TestBelongs(t *testing.T) {
	for _, c := range []struct {
		name           string
		sender, worker int
		want           bool
	}{
		{"itself", os.Getpid(), os.Getpid(), true},
		{"ancestor", os.Getppid(), os.Getpid(), false},
		{"init", 1, os.Getpid(), false},
		{"outside our pid namespace", 0, os.Getpid(), false},
		{"nobody", 1 << 30, os.Getpid(), false},
	} {
		if got := belongs(c.sender, c.worker); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// A child of the worker speaks for it, as long as there is one.
func TestBelongsByDescent(t *testing.T) {
	child := exec.Command("sleep", "1000")
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		child.Process.Kill()
		child.Wait()
	})
	if pid := child.Process.Pid; !familyOf(os.Getpid())(pid) || remainsOf(os.Getpid())(pid) || !remainsOf(pid)(pid) {
		t.Error("who descends from the worker is believed after its end, or not before")
	}
}

// BenchmarkBelongs is the price of a report of somebody who does not belong to the
// worker that he speaks for: another child of the master.
func BenchmarkBelongs(b *testing.B) {
	other := exec.Command("sleep", "1000")
	if err := other.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		other.Process.Kill()
		other.Wait()
	})
	for b.Loop() {
		if belongs(other.Process.Pid, 1<<30) {
			b.Fatal("he does")
		}
	}
}
