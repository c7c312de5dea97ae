//go:build linux

package leftovers

import (
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

const noPID = 1 << 23 // and those from here on are above every pid

// house is a master of one worker, which has left one process behind.
type house struct {
	Leftovers
	loop      *loop.Loop
	log       *observer.ObservedLogs
	expecting bool
	outlive   bool
	orphans   []process.Orphan
	hidden    chan struct{} // not nil: nobody can look before it is closed
	looks     int
}

func newHouse() *house {
	core, log := observer.New(zap.DebugLevel)
	h := &house{Leftovers: New(), loop: loop.New(), log: log}
	h.orphans = []process.Orphan{{Pid: noPID + 9, Group: noPID + 9, Session: noPID + 9, Env: []string{"GOSUPER_WORKER_ID=1"}}}
	h.Attach(Options{
		Loop: h.loop, Log: zap.New(core),
		Adopted: func(func(int) bool) []process.Orphan {
			h.looks++
			if h.hidden != nil {
				<-h.hidden
			}
			return append([]process.Orphan{{Pid: noPID + 2}}, h.orphans...) // the first is another worker's
		},
		Note:      func(fleet.Event) {},
		Knows:     func(pid int) bool { return pid == noPID+2 },
		Children:  func() Children { return Children{} },
		Expecting: func() bool { return h.expecting },
		Outlive:   func() bool { return h.outlive },
	})
	h.Died(Leader{ID: 1, PID: noPID + 1})
	return h
}

// look has the loop hear what came of a look.
func (h *house) look() {
	synctest.Wait()
	select {
	case do := <-h.loop.C:
		do()
	default:
	}
}

func (h *house) named() int { return h.log.FilterMessageSnippet("left a process behind").Len() }

func TestSweep(t *testing.T) {
	for name, outlive := range map[string]bool{"worker left a process behind, which is ended: see limits.outlive": false, "worker left a process behind, which may outlive it": true} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse()
			h.outlive = outlive
			h.Sweep(nil)
			h.look()
			said := h.log.FilterMessage(name).All()
			if len(said) != 1 || said[0].ContextMap()["worker"] != int64(1) || said[0].ContextMap()["pid"] != int64(noPID+9) {
				t.Errorf("it says %v, want %q", h.log.All(), name)
			}
			h.Sweep(nil)
			if h.look(); h.named() != 1 {
				t.Error("it is named again")
			}
		})
	}
}

// While a process is being made nobody can tell it from what others left.
func TestSweepWaitsForBirth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.expecting = true
		h.Sweep(nil)
		if h.look(); h.looks != 0 {
			t.Error("there is a look")
		}
		h.expecting = false
		h.Sweep(nil)
		h.expecting = true // before the look is over
		if h.look(); h.looks != 1 || h.named() != 0 {
			t.Errorf("%d looks, %d are named", h.looks, h.named())
		}
		h.expecting = false
		h.Sweep(nil)
		if h.look(); h.named() != 1 {
			t.Error("it was forgotten")
		}
	})
}

// The end waits for what is killed, but not for ever.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, ended, reaped := newHouse(), make(chan os.Signal, 1), 0
		reap := func() []process.Orphan {
			if reaped++; reaped == 2 {
				h.orphans = nil
			}
			return nil
		}
		ended <- syscall.SIGCHLD
		if h.End(reap, ended); reaped != 2 || h.named() != 1 || h.log.FilterMessageSnippet("does not die").Len() != 0 {
			t.Errorf("reaped %d times: %v", reaped, h.log.All())
		}
	})
	synctest.Test(t, func(t *testing.T) { // SIGKILL was sent before, and does not end it either
		h := newHouse()
		h.orphans[0].Killed = true
		if h.End(func() []process.Orphan { return nil }, nil); h.named() != 0 || h.log.FilterMessageSnippet("does not die").Len() != 1 {
			t.Errorf("it says nothing of what was killed and does not die: %v", h.log.All())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		if h.End(func() []process.Orphan { return nil }, nil); h.log.FilterMessageSnippet("does not die").Len() != 1 {
			t.Errorf("it waits for what does not die: %v", h.log.All())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.hidden = make(chan struct{})
		defer close(h.hidden)
		if h.End(func() []process.Orphan { return nil }, nil); h.log.FilterMessageSnippet("lets nobody read").Len() != 1 {
			t.Errorf("it waits for what cannot be looked at: %v", h.log.All())
		}
	})
}
