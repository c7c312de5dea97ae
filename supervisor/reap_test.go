//go:build linux

package supervisor

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// Nothing is done to a process that was reaped, also while the loop still deals
// with another exit of the same moment.
func TestReapedTogether(t *testing.T) {
	play(t, "workers = 2\nready = \"notify\"\n[restart]\nstartup_attempts = 1\n", silent, func(st *stage) {
		for id := range 2 {
			st.exits = append(st.exits, process.Exit{Pid: noPID + 1 + id, Status: process.Status{Code: 1}})
		}
		st.kill(syscall.SIGCHLD)
		if len(st.orders) > 0 {
			t.Errorf("done to the dead: %v", st.orders)
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

// none are the sessions of children that a master has had before.
func none() []int { return nil }

// Nobody is looked into before there are workers: whoever was there may be able to keep
// the master from its start.
func TestStartLooksIntoNobody(t *testing.T) {
	play(t, "workers = 1\nready = \"notify\"\n", func(st *stage, _ *roster.Worker) error {
		if n := st.sweeps.Load(); n > 0 {
			t.Errorf("%d looks before the first worker", n)
		}
		return nil
	}, func(st *stage) {
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// What a worker left behind may be able to keep whoever looks at it waiting: the loop
// goes on meanwhile, and so does the end.
func TestLoopGoesOnDuringLook(t *testing.T) {
	play(t, "workers = 1\nready = \"notify\"\n", silent, func(st *stage) {
		st.say(1, notify.Message{Ready: true})
		left := process.Orphan{Pid: noPID + 99, Group: noPID + 99, Session: noPID + 99, Env: []string{"GOSUPER_WORKER_ID=1"}}
		gone := process.Orphan{Pid: noPID + 98, Group: noPID + 98, Session: noPID + 98, Env: []string{"GOSUPER_WORKER_ID=1"}}
		st.leave(left, gone)
		seen := st.hide()
		st.exit(1, 1)
		st.say(2, notify.Message{Ready: true})
		if ws := st.status().Workers; len(ws) != 1 || ws[0].ID != 2 || ws[0].State != "ready" {
			t.Errorf("during the look: %+v", ws)
		}
		gone.Ended = true
		st.leave(left, gone)
		st.kill(syscall.SIGCHLD) // one is reaped, and its pid may be another's
		close(seen)
		st.pass(time.Second)
		defer close(st.hide())
		named := st.log.FilterMessageSnippet("left a process behind").All()
		if len(named) != 1 || named[0].ContextMap()["pid"] != int64(noPID+99) || named[0].ContextMap()["worker"] != int64(1) {
			t.Errorf("left behind are %v, want the one that is not reaped", named)
		}
		st.kill(syscall.SIGTERM)
		st.exit(2, 0)
		st.pass(leftovers.EndTime)
		select {
		case err := <-st.result:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("the master waits for what cannot be looked at")
		}
	})
}
