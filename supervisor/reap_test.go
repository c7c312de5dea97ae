//go:build linux

package supervisor

import (
	"errors"
	"syscall"
	"testing"

	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// Nothing is done to a process that was reaped, also while the loop still deals
// with another exit of the same moment.
func TestReapedTogether(t *testing.T) {
	play(t, "workers = 2\nready = \"notify\"\n[restart]\nstartup_attempts = 1\n", silent, func(st *stage) {
		for id := range 2 {
			st.exits = append(st.exits, process.Exit{Pid: noPID + 1 + id, Status: process.Status{Code: 1}})
		}
		st.kill(syscall.SIGCHLD)
		if len(st.deeds) > 0 {
			t.Errorf("done to the dead: %v", st.deeds)
		}
		if err := <-st.result; !isBoot(err) {
			t.Errorf("the master ended with %v", err)
		}
	})
}

func isBoot(err error) bool {
	_, ok := errors.AsType[*BootError](err)
	return ok
}
