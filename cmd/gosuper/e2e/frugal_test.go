//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// footprint is what a process holds.
type footprint struct {
	descriptors []string
	threads     int
	rss, pss    int // KiB
	anonymous   int // KiB of rss that are of no file
}

func (f footprint) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, RSS %.1f MiB, PSS %.1f MiB", len(f.descriptors), f.threads, float64(f.rss)/1024, float64(f.pss)/1024)
}

func measure(t testing.TB, pid int) (f footprint) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d", pid)
	fds, err := os.ReadDir(dir + "/fd")
	if os.Getuid() != 0 && errors.Is(err, os.ErrPermission) {
		t.Skip("only root may look into a master")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		target, _ := os.Readlink(dir + "/fd/" + fd.Name())
		kind, _, _ := strings.Cut(target, ":[")
		f.descriptors = append(f.descriptors, kind)
	}
	slices.Sort(f.descriptors)
	f.rss, f.anonymous = kib(status(pid)["VmRSS"]), kib(status(pid)["RssAnon"])
	f.threads, _ = strconv.Atoi(status(pid)["Threads"])
	rollup, _ := os.ReadFile(dir + "/smaps_rollup")
	for line := range strings.Lines(string(rollup)) {
		if value, ok := strings.CutPrefix(line, "Pss:"); ok {
			f.pss = kib(strings.TrimSpace(value))
		}
	}
	return f
}

func kib(text string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(text, " kB"))
	return n
}

// goroutines ends a master with SIGABRT and returns how many goroutines its dump
// shows, without the workers of the garbage collector, which come when needed.
func (m *master) goroutines() int {
	m.t.Helper()
	m.atRest()
	m.signal(syscall.SIGABRT)
	// The dump of all goroutines is complete when the runtime turns to the other
	// threads, which takes it seconds.
	m.contains(m.t, "\n-----\n")
	m.signal(syscall.SIGKILL)
	m.end()
	all := regexp.MustCompile(`(?m)^goroutine \d+ .*`).FindAllString(m.String(), -1)
	return len(slices.DeleteFunc(all, func(head string) bool { return strings.Contains(head, "GC worker") }))
}

// reloads does n reloads and waits for the last of the old workers to be gone.
func (m *master) reloads(n int) {
	m.t.Helper()
	for range n {
		m.reload()
	}
	m.await(m.t, "the old workers to be gone", func() bool {
		return len(m.all(0, "worker started", nil))-len(m.all(0, "worker gone", nil)) == 2
	})
}

// atRest measures when what the process holds has stopped changing: descriptors
// of dead workers are closed soon after the log says that they are gone.
func (m *master) atRest() footprint {
	m.t.Helper()
	last := measure(m.t, m.pid())
	for begin := time.Now(); time.Since(begin) < testTimeout; {
		<-time.After(200 * time.Millisecond)
		f := measure(m.t, m.pid())
		if slices.Equal(f.descriptors, last.descriptors) {
			return f
		}
		last = f
	}
	m.t.Fatal("the descriptors of the master never stop changing")
	return last
}

// A hundred reloads leave nothing behind in the master.
func TestReloadsLeakNothing(t *testing.T) {
	t.Parallel()
	line, _ := controlled(t)
	m := up(t, admin("127.0.0.1:0"), line)
	m.reloads(20)
	early := m.atRest()
	m.reloads(tenth(80))
	late := m.atRest()
	t.Logf("after 20 reloads: %v", early)
	t.Logf("after %d reloads: %v", 20+tenth(80), late)
	if !slices.Equal(early.descriptors, late.descriptors) {
		t.Errorf("descriptors after 20 reloads: %v\nlater: %v", early.descriptors, late.descriptors)
	}
	if raceEnabled {
		return // with memory of its own
	}
	// What the last reload needed is given back after it. Pages of files come and go.
	eventually(t, "the master is as small as it was", func() bool { return measure(t, m.pid()).anonymous-early.anonymous <= 2048 })
}

// Many reloads leave as many goroutines behind as a few. One may be about to end when they
// are counted, so they are counted up to three times: those that are left behind are there
// each time.
func TestReloadsLeakNoGoroutine(t *testing.T) {
	t.Parallel()
	after := func(reloads int) int {
		m := up(t, admin("127.0.0.1:0"))
		m.reloads(reloads)
		return m.goroutines()
	}
	for last := range 3 {
		few, many := after(5), after(5+tenth(80))
		t.Logf("goroutines after 5 reloads: %d, after %d: %d", few, 5+tenth(80), many)
		switch {
		case few == many && few > 0:
			return
		case last == 2:
			t.Error("they are never as many")
		}
	}
}

// switches sums up how often the threads of a process were switched to.
func switches(t testing.TB, pid int) (n int) {
	t.Helper()
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if key, value, _ := strings.Cut(line, ":"); strings.HasSuffix(key, "ctxt_switches") {
				count, _ := strconv.Atoi(strings.TrimSpace(value))
				n += count
			}
		}
	}
	return n
}

// An idle fleet does not wake its master, whatever else the machine does. A wake-up
// is a moment in which the process had something to do after it slept, however many of its
// threads the Go runtime switched to and fro for that.
func TestIdleMasterSleeps(t *testing.T) {
	t.Parallel()
	const window = time.Minute
	line, _ := controlled(t)
	m := up(t, "workers = 4", admin("127.0.0.1:0"), line)
	begin := time.Now()
	woken, all := m.wakeups(window)
	rate := float64(woken) / time.Since(begin).Seconds()
	t.Logf("%d wake-ups in %v with 4 idle workers: %.3f a second, %d context switches in all; the master has %v",
		woken, window, rate, all, measure(t, m.pid()))
	if rate > 0.2 {
		t.Errorf("%.3f wake-ups a second, want at most 0.2", rate)
	}
}

// wakeups counts, for so long, in how many moments the master had something to do, and all
// the switches to its threads.
func (m *master) wakeups(window time.Duration) (woken, all int) {
	const moment = 250 * time.Millisecond
	t := m.t
	t.Helper()
	// Until the runtime has given up looking for work.
	for before := -1; before != switches(t, m.pid()); {
		before = switches(t, m.pid())
		<-time.After(500 * time.Millisecond)
	}
	first := switches(t, m.pid())
	last, woken, begin := first, 0, time.Now()
	for time.Since(begin) < window {
		<-time.After(moment)
		if now := switches(t, m.pid()); now != last {
			last = now
			woken++
		}
	}
	return woken, last - first
}

// idleMemory is what an idle master may have in memory, in KiB.
const idleMemory = 12 << 10

// A master keeps nothing in memory that only its start needed, or an upgrade.
func TestIdleMasterIsSmall(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	line, _ := controlled(t)
	m := up(t, "workers = 4", admin("127.0.0.1:0"), line)
	small := func() bool { return measure(t, m.pid()).rss <= idleMemory }
	eventually(t, "the master to be small", small)
	t.Logf("after the start: %v", m.atRest())
	m.upgrade()
	eventually(t, "the master to be small again", small)
	t.Logf("after an upgrade: %v", m.atRest())
}
