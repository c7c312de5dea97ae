//go:build linux

package process

import (
	"os/exec"
	"testing"
)

func TestUnclaimed(t *testing.T) {
	const nobody = 1 << 23 // is above every pid
	var u Unclaimed
	u.Keep([]Orphan{{Pid: nobody + 1, Status: Status{Code: 1}}, {Pid: nobody + 2, Status: Status{Code: 2}}})
	if status, ended := u.Claim(nobody + 2); !ended || status.Code != 2 {
		t.Errorf("the second ended with %v, %t", status, ended)
	}
	if _, ended := u.Claim(nobody + 2); ended {
		t.Error("the second was claimed twice")
	}
	if _, ended := u.Claim(nobody + 3); ended {
		t.Error("who never ended was claimed")
	}
	for i := range maxUnclaimed {
		u.Keep([]Orphan{{Pid: nobody + 10 + i}})
	}
	if _, ended := u.Claim(nobody + 1); ended {
		t.Error("the oldest was kept beyond the bound")
	}
	if _, ended := u.Claim(nobody + 10); !ended {
		t.Error("one within the bound was not kept")
	}
	u.Drop()
	if _, ended := u.Claim(nobody + 11); ended {
		t.Error("one was kept that was dropped")
	}
}

// A pid that was reaped may be given to another child, which is alive.
func TestUnclaimedPidOfAnother(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "3600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var u Unclaimed
	u.Keep([]Orphan{{Pid: cmd.Process.Pid, Status: Status{Code: 1}}})
	if status, ended := u.Claim(cmd.Process.Pid); ended {
		t.Errorf("a child that lives ended with %v", status)
	}
}
