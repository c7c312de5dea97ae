//go:build linux

package notify

import (
	"os"
	"os/exec"
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
