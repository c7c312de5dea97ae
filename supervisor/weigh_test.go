//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
)

// takes is the memory of a process made of nothing, in MiB.
type takes int

func (n takes) Resident() uint64            { return uint64(n) * 2 << 20 }
func (n takes) CPU() (time.Duration, error) { return 0, errors.New("not known") }
func (n takes) Private() (uint64, error)    { return uint64(n) << 20, nil }
func (n takes) Memory() (uint64, process.MemoryKind, error) {
	switch n {
	case 0:
		return 0, "", errors.New("gone")
	case hangs:
		time.Sleep(time.Hour) // which is what it is to hang
	}
	return uint64(n) << 20, process.PSS, nil
}

// hangs is what a process takes that cannot be measured for now.
const hangs = 1 << 20

func (st *stage) trees(pids []int) (all []scales.Tree, err error) {
	st.looks.Add(1)
	if st.blind.Load() {
		return nil, syscall.EMFILE
	}
	for _, pid := range pids {
		n, _ := st.memory.LoadOrStore(pid, 10)
		all = append(all, takes(n.(int)))
	}
	return all, nil
}

// grow has a worker take so many MiB.
func (st *stage) grow(id, n int) { st.memory.Store(noPID+id, n) }

// started is what the log says of the workers that were started.
func (st *stage) started() (all []string) {
	for _, e := range st.log.FilterMessage("worker started").All() {
		f := e.ContextMap()
		all = append(all, fmt.Sprintf("%v %v %v", e.Time.Sub(st.start).Truncate(100*time.Millisecond), f["worker"], f["reason"]))
	}
	return all
}

func (st *stage) end() {
	st.t.Helper()
	st.kill(syscall.SIGQUIT)
	if err := <-st.result; err != nil {
		st.t.Error(err)
	}
}

func TestMemoryIsLeftAlone(t *testing.T) {
	play(t, "workers = 2\nready = \"notify\"\n", silent, func(st *stage) {
		st.say(1, notify.Message{Ready: true})
		st.pass(time.Hour)
		if n := st.looks.Load(); n > 0 {
			t.Errorf("memory was looked at %d times without a limit", n)
		}
		st.end()
	})
}

func TestMemorySoftLimit(t *testing.T) {
	play(t, "workers = 1\nready = \"notify\"\nmax_worker_memory = \"100MiB\"\n", silent, func(st *stage) {
		ready := notify.Message{Ready: true}
		st.say(1, ready)
		st.grow(1, 100)
		st.pass(time.Minute)
		st.grow(1, 101) // only for a moment
		st.pass(time.Second)
		st.grow(1, 90)
		st.pass(time.Minute)
		st.expect("starts at the limit", st.started(), []string{"0s 1 start"})

		st.grow(1, 101)
		st.pass(3 * time.Second)
		st.expect("starts above it", st.started(), []string{"0s 1 start", "2m3s 2 memory"})
		// The new one is too large from its start: the limit is.
		st.grow(2, 300)
		st.say(2, ready)
		st.exit(1, 0)
		st.pass(5 * time.Second)
		st.say(2, notify.Message{})
		if n := st.log.FilterMessageSnippet("max_worker_memory is too low").Len(); n != 1 {
			t.Errorf("it was said %d times that the limit is too low", n)
		}
		st.expect("starts soon after", st.started(), []string{"0s 1 start", "2m3s 2 memory"})
		st.pass(5 * time.Second)
		st.expect("starts", st.started(), []string{"0s 1 start", "2m3s 2 memory", "2m13s 3 memory"})
		st.end()
	})
}

// A look that fails, as there are no descriptors left, is not the last one.
func TestMemoryAfterFailedLooks(t *testing.T) {
	play(t, "workers = 1\nready = \"notify\"\nmax_worker_memory_hard = \"200MiB\"\n", silent, func(st *stage) {
		st.say(1, notify.Message{Ready: true})
		st.blind.Store(true)
		st.grow(1, 201)
		st.pass(90 * time.Second)
		st.expect("orders", st.orders, nil)
		if n := st.log.FilterMessageSnippet("max_worker_memory has no effect").Len(); n != 2 {
			t.Errorf("it was said %d times in 90 s, want 2", n)
		}
		st.blind.Store(false)
		st.pass(2 * time.Second)
		if len(st.orders) != 1 || !strings.HasSuffix(st.orders[0], " kill 1") {
			t.Errorf("orders %q, want the worker killed", st.orders)
		}
		st.end()
	})
}

func TestMemoryHardLimit(t *testing.T) {
	play(t, "workers = 1\nready = \"notify\"\nmax_worker_memory_hard = \"200MiB\"\nmax_worker_memory = \"100MiB\"\n", silent, func(st *stage) {
		ready := notify.Message{Ready: true}
		st.say(1, ready)
		st.pass(10*time.Second + 100*time.Millisecond)
		st.grow(1, 201)
		st.pass(time.Second)
		st.expect("orders", st.orders, []string{"10.5s kill 1"})
		st.expect("starts", st.started(), []string{"0s 1 start", "10.5s 2 memory"})
		last := st.log.FilterMessage("worker crashed").All()
		if len(last) != 1 || last[0].ContextMap()["status"] != "took 201MiB, more than max_worker_memory_hard (killed by SIGKILL)" {
			t.Errorf("the log says %v", last)
		}
		// Also while it starts, and while it drains.
		st.grow(2, 500)
		st.pass(time.Second)
		st.pass(time.Second)
		st.say(3, ready)
		st.grow(3, 150)
		st.pass(3 * time.Second)
		st.say(4, ready)
		st.grow(3, 250)
		st.pass(time.Second)
		st.expect("orders", st.orders, []string{"10.5s kill 1", "11.5s kill 2", "16.1s stop 3", "16.5s kill 3"})
		st.end()
	})
}

// A worker that cannot be measured keeps no other from its limits.
func TestMemoryOfOneHangs(t *testing.T) {
	play(t, "workers = 2\nready = \"notify\"\nmax_worker_memory_hard = \"200MiB\"\nmax_worker_memory = \"100MiB\"\n", silent, func(st *stage) {
		ready := notify.Message{Ready: true}
		st.say(1, ready)
		st.say(2, ready)
		st.pass(10*time.Second + 100*time.Millisecond)
		st.grow(1, hangs)
		st.grow(2, 201)
		st.pass(time.Second)
		st.expect("orders", st.orders, []string{"10.55s kill 2"})
		st.say(3, ready)
		st.grow(3, 150)
		st.pass(3 * time.Second)
		st.expect("starts", st.started(), []string{"0s 1 start", "0s 2 start", "10.5s 3 memory", "12.7s 4 memory"})
		st.pass(time.Hour)
		st.end()
	})
}

// A reload that takes the limit away ends the looking, one that brings it
// starts it.
func TestMemoryLimitComesAndGoes(t *testing.T) {
	const without = "workers = 1\nready = \"notify\"\n"
	play(t, without+"max_worker_memory = \"100MiB\"\n", silent, func(st *stage) {
		ready := notify.Message{Ready: true}
		st.say(1, ready)
		id := 1
		for _, limited := range []bool{false, true} {
			text := without
			if limited {
				text += "max_worker_memory_hard = \"100MiB\"\n"
			}
			st.load = func() (*config.Config, []string, error) { return load(t, text), nil, nil }
			st.kill(syscall.SIGHUP)
			id++
			st.say(id, ready)
			st.exit(id-1, 0)
			st.pass(2 * time.Second)
			before := st.looks.Load()
			st.pass(time.Minute)
			if looked := st.looks.Load() > before; looked != limited {
				t.Errorf("memory is looked at: %v, want %v", looked, limited)
			}
		}
		st.end()
	})
}

func (st *stage) oom() (kills uint64, ok bool) {
	st.counts++
	return st.kills, true
}

// However many end together, their kernel is asked once what it has killed, and explains
// as many ends.
func TestOutOfMemoryTogether(t *testing.T) {
	play(t, "workers = 9\nready = \"notify\"\nstartup_timeout = \"1h\"\n[restart]\nstartup_attempts = 99\n", silent, func(st *stage) {
		before := st.counts
		st.kills = 2
		for id := 1; id <= 9; id++ {
			st.exits = append(st.exits, process.Exit{Pid: noPID + id, Status: process.Status{Signal: syscall.SIGKILL}})
		}
		st.kill(syscall.SIGCHLD)
		explained := 0
		for _, line := range st.log.FilterMessage("worker boot failed").All() {
			if line.ContextMap()["status"] == "out of memory (killed by SIGKILL)" {
				explained++
			}
		}
		if n := st.counts - before; n != 1 || explained != 2 {
			t.Errorf("counted %d times, and %d are out of memory, want once and two", n, explained)
		}
		st.end()
	})
}

// A worker that somebody killed is out of memory only if the kernel says so.
func TestOutOfMemory(t *testing.T) {
	play(t, "workers = 1\nready = \"notify\"\nstartup_timeout = \"1h\"\n[restart]\nstartup_attempts = 9\n", silent, func(st *stage) {
		killed := process.Status{Signal: syscall.SIGKILL}
		for id, c := range []struct {
			kills  uint64 // by now
			status process.Status
			want   string
		}{
			{0, killed, "killed by SIGKILL"},
			{1, killed, "out of memory (killed by SIGKILL)"},
			{1, killed, "killed by SIGKILL"},
			{2, process.Status{Code: 1}, "exit status 1"},
			{2, killed, "killed by SIGKILL"}, // the kernel had taken something else
			{3, killed, "out of memory (killed by SIGKILL)"},
		} {
			st.kills = c.kills
			st.exits = append(st.exits, process.Exit{Pid: noPID + 1 + id, Status: c.status})
			st.kill(syscall.SIGCHLD)
			all := st.log.FilterMessage("worker boot failed").All()
			if got := all[len(all)-1].ContextMap()["status"]; len(all) != id+1 || got != c.want {
				t.Errorf("worker %d: %v, want %s", id+1, got, c.want)
			}
			st.pass(time.Minute)
		}
		st.end()
	})
}
