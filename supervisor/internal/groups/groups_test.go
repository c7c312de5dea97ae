//go:build linux

package groups

import (
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"
)

func nobody(int) bool { return false }

// A group is there until the last of it is gone, whoever its leader was.
func TestGroups(t *testing.T) {
	leader := exec.Command("/bin/sh", "-c", "sleep 600 & echo; exec >&-; wait")
	leader.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := leader.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	pid := leader.Process.Pid
	defer syscall.Kill(-pid, syscall.SIGKILL)
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	_ = leader.Wait() // which is its end by the signal
	var g Groups
	if !g.Due().IsZero() {
		t.Error("there is nothing to look at, and it is due")
	}
	g.Watch(7, pid)
	now := time.Now()
	if gone := g.Look(now, nobody); gone != nil || g.PID(7) != pid || !g.Due().After(now) {
		t.Errorf("%v are gone, and the next look is at %v", gone, g.Due())
	}
	if gone := g.Look(now.Add(time.Hour), nobody); gone != nil || !g.Due().Equal(now.Add(time.Hour+rare)) {
		t.Errorf("%v are gone, and the next look is at %v", gone, g.Due())
	}
	syscall.Kill(-pid, syscall.SIGKILL)
	for end := time.Now().Add(time.Minute); g.PID(7) != 0; {
		if gone := g.Look(time.Now(), nobody); gone != nil && !slices.Equal(gone, []int{7}) {
			t.Fatalf("%v are gone", gone)
		}
		if time.Now().After(end) {
			t.Fatal("it is still there")
		}
	}
	g.Watch(8, pid)
	g.Watch(9, 1<<30)
	if gone := g.Look(now, func(pid int) bool { return pid == 1<<30 }); !slices.Equal(gone, []int{8, 9}) || !g.Due().IsZero() {
		t.Errorf("%v are gone", gone)
	}
}
