//go:build linux

package limits

import (
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// limited is a machine whose cgroup has so many CPUs, and so much memory.
func limited(cpus int, memory config.Size) fstest.MapFS {
	return fstest.MapFS{
		"proc/self/cgroup": {Data: []byte("0::/\n")}, "proc/self/mountinfo": {Data: []byte("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")},
		"sys/fs/cgroup/cpu.max":    {Data: fmt.Appendf(nil, "%d 100000\n", cpus*100000)},
		"sys/fs/cgroup/memory.max": {Data: fmt.Appendf(nil, "%d\n", memory)},
	}
}

// decide has the brain decide something.
func (h *house) decide(ev fleet.Event) {
	for _, a := range h.options.Fleet.Step(time.Now(), ev) {
		if a, ok := a.(fleet.Spawn); ok {
			h.options.Roster.Enter(&roster.Worker{Identity: a.Worker.Identity, Rev: h.worker.Rev})
		}
	}
}

// read has the limits of the machine be read when it is time, and returns the steps that
// follow, and after what time that was.
func (h *house) read(t *testing.T) (steps []fleet.Event, after time.Duration) {
	t.Helper()
	h.options.Step = func(events ...fleet.Event) { steps = append(steps, events...) }
	due := h.Due()
	if due.IsZero() {
		t.Fatal("nobody is going to look")
	}
	after = time.Until(due)
	time.Sleep(after) // in the time of the bubble
	h.Patrol(time.Now())
	if !h.Due().IsZero() {
		t.Error("it is read again meanwhile")
	}
	if steps != nil {
		t.Error("the limits were not waited for")
	}
	(<-h.loop.C)()
	return steps, after
}

// There are as many workers as the limits of the machine give, beside those that an
// operator wants, when something is decided after they have changed: at once, but they are
// read once a second at most.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		auto := h.worker.Rev
		auto.Config.Workers, auto.Workers = config.Workers{Auto: true}, 3
		var event fleet.Event = fleet.ScaleBy{N: 1}
		follow := func(machine fs.FS, pause time.Duration, want ...fleet.Event) {
			t.Helper()
			h.options.Root = machine
			h.decide(event)
			h.Keep(time.Now())
			if steps, after := h.read(t); !slices.Equal(steps, want) || after != pause {
				t.Errorf("steps %v after %v, want %v after %v", steps, after, want, pause)
			}
		}
		follow(limited(3, config.GiB), 0)
		follow(limited(5, config.GiB), readAgain, fleet.Recount{Workers: 5})
		if said := h.log.FilterMessage("workers = auto").All(); len(said) != 1 || said[0].ContextMap()["workers"] != int64(5) {
			t.Errorf("said %v", said)
		}
		time.Sleep(readAgain) // in the time of the bubble
		follow(limited(5, config.GiB), 0)
		follow(limited(2, config.GiB), readAgain, fleet.Recount{Workers: 2})

		event = fleet.Reload{Revision: 2, Settings: fleet.Settings{Workers: 2, Ready: fleet.ReadyNotify, StartupTimeout: time.Hour, StartupAttempts: 1, Surge: fleet.Surge{Count: 1}}}
		follow(limited(4, config.GiB), readAgain)
		if auto.Workers != 2 {
			t.Errorf("during a reload: %d workers", auto.Workers)
		}
	})
}

// A number that is written stays, and nobody looks.
func TestFollowNothing(t *testing.T) {
	h := newHouse(t)
	h.decide(fleet.ScaleBy{N: 1})
	if h.Keep(time.Now()); !h.Due().IsZero() {
		t.Error("somebody looks")
	}
	if h.Move(config.ReadMachine(limited(8, config.GiB))); h.worker.Rev.Workers != 0 || h.worker.Rev.Memory.Hard != 200*config.MiB {
		t.Errorf("%d workers, of %v each", h.worker.Rev.Workers, h.worker.Rev.Memory.Hard)
	}
}

// What each worker may take follows from the memory that there is by now, if that is what
// the configuration says, within the second that it takes until they are looked at again.
func TestFollowMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		c := h.worker.Rev.Config
		c.MaxWorkerMemory, c.MaxWorkerMemoryHard, c.Surge = 0, config.SizeAuto, config.Surge{N: 1}
		defer h.loop.End()
		hard := func(machine fs.FS, want config.Size) {
			t.Helper()
			h.options.Root = machine
			h.loads()
			for h.machine.busy {
				(<-h.loop.C)()
			}
			all, _ := h.loads()
			if got := h.worker.Rev.Memory.Hard; got != want || len(all) != 1 || all[0].Hard != uint64(want) {
				t.Errorf("each may take %v, want %v: %+v", got, want, all)
			}
			time.Sleep(readAgain) // in the time of the bubble
		}
		hard(limited(2, config.GiB), 486*config.MiB)
		hard(limited(2, 2*config.GiB), 972*config.MiB)
		hard(limited(2, 2*config.GiB), 972*config.MiB)
		hard(limited(2, config.GiB), 486*config.MiB)
		if said := h.log.FilterMessage("max_worker_memory_hard = auto").All(); len(said) != 3 || said[1].ContextMap()["limit"] != "972MiB" {
			t.Errorf("said %v", said)
		}
	})
}

// A limit that comes where there was none has the workers be looked at who live by then.
func TestFirstLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.loop.End()
		r := h.worker.Rev
		r.Config.MaxWorkerMemory, r.Config.MaxWorkerMemoryHard, r.Memory.Hard = 0, config.SizeAuto, 0
		h.options.Root = limited(2, config.GiB)
		h.Weigh(h.worker)
		h.Move(config.ReadMachine(h.options.Root))
		(<-h.loop.C)()
		if synctest.Wait(); h.looks != 1 {
			t.Errorf("the workers were looked at %d times", h.looks)
		}
	})
}
