//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// leak keeps so many MiB for good. They are not from the heap, for which the
// race detector would take as much again.
func leak(w http.ResponseWriter, r *http.Request) {
	mb, err := strconv.Atoi(r.FormValue("mb"))
	if err != nil {
		panic(err)
	}
	block, err := unix.Mmap(-1, 0, mb<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(block); i += os.Getpagesize() {
		block[i] = 1
	}
	fmt.Fprintln(w, "leaked")
}

// leakIn has the worker leak that answers, and returns its pid.
func (m *master) leakIn(mb int) int {
	m.t.Helper()
	answer, _, err := m.get(fmt.Sprintf("/leak?mb=%d", mb))
	if err != nil {
		m.t.Fatal(err)
	}
	pid, err := strconv.Atoi(answer.Header.Get("X-Worker-Pid"))
	if err != nil {
		m.t.Fatal(err)
	}
	return pid
}

// Workers that leak are replaced one after the other, and nobody notices.
func TestLeaksLoseNothing(t *testing.T) {
	t.Parallel()
	m := up(t, `max_worker_memory = "300MiB"`)
	r := m.load(load.Plan{Connections: 16, Pause: time.Millisecond})
	leaked := map[int]int{}
	for replaced := 0; replaced < 2; {
		pid := m.leakIn(160)
		if leaked[pid] += 160; leaked[pid] == 320 {
			m.wait(t, 0, "worker draining", match{"pid": pid, "reason": "memory"})
			m.wait(t, 0, "worker gone", match{"pid": pid, "reason": "memory"})
			replaced++
		}
	}
	r.more(100)
	none(t, "leaks", r.end(), 100)
	if n := len(m.all(0, "killing worker", nil)); n > 0 {
		t.Errorf("%d workers were killed", n)
	}
}

// A worker that takes far too much at once is killed within a second, and its
// slot has another one by then.
func TestJumpIsKilled(t *testing.T) {
	m := up(t, "workers = 1", `max_worker_memory = "300MiB"`, `max_worker_memory_hard = "400MiB"`)
	for range 5 { // what else the machine does counts as well
		from, pid := m.mark(), m.workers()[0]
		m.get("/leak?mb=600") // it may be killed before it can answer
		begin := time.Now()
		killed := m.wait(t, from, "killing worker", match{"pid": pid, "reason": "memory"})
		ended := m.wait(t, from, "worker crashed", match{"pid": pid})
		next := m.wait(t, from, "worker started", match{"reason": "memory"})
		if got := ended.str("status"); !strings.HasSuffix(got, "MiB, more than max_worker_memory_hard (killed by SIGKILL)") {
			t.Errorf("the worker's status is %q", got)
		}
		t.Logf("killed after %v, gone after %v, replaced after %v", killed.at.Sub(begin), ended.at.Sub(begin), next.at.Sub(begin))
		m.wait(t, from, "worker ready", nil)
		if ended.at.Sub(begin) < time.Second {
			return
		}
	}
	t.Error("no worker was gone within a second")
}

// Workers live for as long as they may, each of them for another time, and
// nobody notices their end.
func TestLifetimeLosesNothing(t *testing.T) {
	m := up(t, "workers = 2", `max_worker_lifetime = "1s"`, `max_worker_lifetime_jitter = "1s"`)
	r := m.load(load.Plan{Connections: 16, Pause: time.Millisecond})
	m.count(t, 6, 0, "worker gone", match{"reason": "lifetime"})
	none(t, "lifetimes", r.end(), 100)
	born := map[int]time.Time{}
	for _, e := range m.all(0, "worker ready", nil) {
		born[e.num("pid")] = e.at
	}
	for _, e := range m.all(0, "worker draining", match{"reason": "lifetime"}) {
		if age := e.at.Sub(born[e.num("pid")]); age < time.Second {
			t.Errorf("a worker was replaced after %v", age)
		}
	}
}

// memoryCgroup makes a cgroup with a memory limit, and no swap to avoid that by,
// and returns its folder.
func memoryCgroup(t *testing.T, limit string) string {
	t.Helper()
	needRoot(t)
	for _, root := range []struct {
		dir, file string
		noSwap    string // the file in which 0 is none
	}{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.swappiness"},
		{"/sys/fs/cgroup", "memory.max", "memory.swap.max"},
	} {
		dir := filepath.Join(root.dir, fmt.Sprintf("gosuper-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
		if os.WriteFile(filepath.Join(dir, root.file), []byte(limit), 0) != nil {
			continue
		}
		noSwap := filepath.Join(dir, root.noSwap)
		if _, err := os.Stat(noSwap); err == nil { // the kernel knows swap
			if err := os.WriteFile(noSwap, []byte("0"), 0); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	t.Skip("no memory cgroup can be made")
	return ""
}

// inCgroup is a command that runs another in the cgroup.
func inCgroup(dir string) []string {
	return as("enter", filepath.Join(dir, "cgroup.procs"))
}

// enter joins a cgroup and becomes the rest of its arguments.
func enter(args []string) error {
	if err := os.WriteFile(args[0], []byte("0"), 0); err != nil {
		return err
	}
	return syscall.Exec(args[1], args[1:], os.Environ())
}

// limitMemory changes the limit of a cgroup.
func limitMemory(t *testing.T, dir, limit string) {
	t.Helper()
	for _, file := range []string{"memory.limit_in_bytes", "memory.max"} {
		if f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0); err == nil {
			_, err = f.WriteString(limit)
			if f.Close(); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%s has no limit", dir)
}

// Where workers are as many as memory has room for, there are more or fewer when the limit
// has changed and something is decided.
func TestWorkersFollowMemory(t *testing.T) {
	dir := memoryCgroup(t, "200M")
	line, path := controlled(t)
	m := start(t, launch{before: inCgroup(dir), config: config(line, `workers = "auto"`, `worker_memory = "100MiB"`)})
	m.wait(t, 0, "ready", match{"workers": 1})
	for _, step := range []struct {
		limit   string
		workers int
	}{{"400M", 2}, {"200M", 1}} {
		limitMemory(t, dir, step.limit)
		from := m.mark()
		if err := syscall.Kill(m.workers()[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		m.wait(t, from, "workers = auto", match{"workers": step.workers})
		eventually(t, "as many workers as there is memory for", func() bool {
			st, _ := asked(t, path, false)
			return st.WorkersTarget == step.workers && st.ReadyWorkers == step.workers && len(st.Workers) == step.workers
		})
	}
}

// With an automatic limit the kernel never has to choose: the master ends the one
// that takes too much, and says beforehand what that is.
func TestHardLimitOfTheMachine(t *testing.T) {
	dir := memoryCgroup(t, "400M")
	lines := []string{"workers = 1", `max_worker_memory_hard = "auto"`}
	m := start(t, launch{before: inCgroup(dir), config: config(lines...)})
	m.wait(t, 0, "ready", nil)
	const why = "the memory limit is 400MiB (%s), for 1 worker, 1 more while they are replaced, and 32MiB for the master"
	if e := m.wait(t, 0, "max_worker_memory_hard = auto", nil); e.str("limit") != "184MiB" || e.str("why") != fmt.Sprintf(why, dir) {
		t.Errorf("it says %s", e.line)
	}
	p := person{t: t, before: inCgroup(dir)}
	p.expects(0, ".*\nmax_worker_memory_hard = \"auto\"    # 184MiB: "+regexp.QuoteMeta(fmt.Sprintf(why, dir))+"\n.*", "", "check", "-c", m.file)

	m.get("/leak?mb=260") // it may be killed before it can answer
	if got := m.wait(t, 0, "worker crashed", nil).str("status"); !strings.HasSuffix(got, "MiB, more than max_worker_memory_hard (killed by SIGKILL)") {
		t.Errorf("the worker's status is %q", got)
	}
	m.count(t, 2, 0, "worker ready", nil)

	// What would not fit is said, and a reload chooses for the number that there is.
	from := m.mark()
	m.signal(syscall.SIGTTIN)
	m.wait(t, from, fmt.Sprintf("the memory limit of 400MiB (%s) has no room for 2 workers, 1 more while they are replaced, that take max_worker_memory_hard = 184MiB each, and 32MiB for the master: "+
		"at most 122MiB each fit, or surge = 0, which stops a worker before its replacement starts", dir), nil)
	m.count(t, 3, 0, "worker ready", nil)
	m.signal(syscall.SIGHUP)
	if e := m.wait(t, from, "max_worker_memory_hard = auto", nil); e.str("limit") != "122MiB" {
		t.Errorf("it says %s", e.line)
	}
	m.wait(t, from, "reload done", nil)
	m.signal(syscall.SIGTTOU)
	m.wait(t, from, "scaled", match{"workers": 1})
	from = m.mark()
	m.rewrite(config(append(lines[:1], `max_worker_memory_hard = "185MiB"`)...))
	m.signal(syscall.SIGHUP)
	m.wait(t, from, "reload done", nil)
	const tight = "the memory limit of 400MiB (%s) has no room for 1 worker, 1 more while they are replaced, that take max_worker_memory_hard = 185MiB each, and 32MiB for the master: " +
		"at most 184MiB each fit, or surge = 0, which stops a worker before its replacement starts"
	m.wait(t, from, fmt.Sprintf(tight, dir), nil)
	p.expects(0, ".*", "gosuper: warning: "+regexp.QuoteMeta(fmt.Sprintf(tight, dir))+"\n", "--check-config", "-c", m.file)
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// Where there is no limit an automatic one is off, and one line says so.
func TestHardLimitOfNoMachine(t *testing.T) {
	m := up(t, `max_worker_memory_hard = "auto"`)
	if all := m.all(0, "max_worker_memory_hard = auto", nil); len(all) != 1 || all[0].str("limit") != "none" && !strings.HasSuffix(all[0].str("limit"), "B") {
		t.Errorf("it says %v", all)
	}
}

// "Out of memory" is said of a worker that the kernel killed for that, and of
// no other that was killed. The limit bounds the number of workers as well.
func TestOutOfMemory(t *testing.T) {
	dir := memoryCgroup(t, "400M")
	m := start(t, launch{
		before: inCgroup(dir),
		config: config(`workers = "auto"`, `worker_memory = "200MiB"`),
	})
	m.wait(t, 0, "ready", nil)
	if n := len(m.workers()); n != 1 {
		t.Errorf("there are %d workers, want one and room for its replacement", n)
	}
	from := m.mark()
	if _, _, err := m.get("/leak?mb=500"); err == nil {
		t.Error("the worker has more memory than there is")
	}
	if got := m.wait(t, from, "worker crashed", nil).str("status"); got != "out of memory (killed by SIGKILL)" {
		t.Errorf("the worker's status is %q", got)
	}
	m.wait(t, from, "worker ready", nil)
	from = m.mark()
	if err := syscall.Kill(m.workers()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := m.wait(t, from, "worker crashed", nil).str("status"); got != "killed by SIGKILL" {
		t.Errorf("the worker's status is %q", got)
	}
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// Where the kernel ends all of a container at once, as Kubernetes asks for, that is
// said beforehand, and with an automatic limit it does not come to that.
func TestOutOfMemoryTogether(t *testing.T) {
	dir := memoryCgroup(t, "240M")
	group := filepath.Join(dir, "memory.oom.group")
	if _, err := os.Stat(group); errors.Is(err, os.ErrNotExist) {
		if os.Getenv(kernelName) == "" {
			t.Skip("cgroups v1 know no memory.oom.group")
		}
		return // TestGuest runs this where there is one
	}
	if err := os.WriteFile(group, []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	together := fmt.Sprintf(`out of memory the kernel kills all processes at once, the master too, whatever their oom_score_adj (memory.oom.group is 1 in %s, as Kubernetes sets it): max_worker_memory_hard = "auto" has the one worker killed before that takes too much`, dir)
	p := person{t: t, before: inCgroup(dir)}

	m := start(t, launch{before: inCgroup(dir), config: config("workers = 2")})
	m.wait(t, 0, "ready", nil)
	if said := m.all(0, together, nil); len(said) != 1 {
		t.Errorf("it is said %d times at start", len(said))
	}
	p.expects(0, ".*", "gosuper: warning: "+regexp.QuoteMeta(together)+"\n", "--check-config", "-c", m.file)
	m.get("/leak?mb=300")
	if code := m.end(); code != -1 || m.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the master ended with %v", m.cmd.ProcessState)
	}

	m = start(t, launch{before: inCgroup(dir), config: config("workers = 1", `max_worker_memory_hard = "auto"`)})
	m.wait(t, 0, "ready", nil)
	if warnings := m.all(0, together, nil); len(warnings) > 0 {
		t.Errorf("%s", warnings[0].line)
	}
	p.expects(0, ".*", "", "--check-config", "-c", m.file)
	m.get("/leak?mb=150") // more than its part; it may be killed before it can answer
	if got := m.wait(t, 0, "worker crashed", nil).str("status"); !strings.HasSuffix(got, "MiB, more than max_worker_memory_hard (killed by SIGKILL)") {
		t.Errorf("the worker's status is %q", got)
	}
	m.count(t, 2, 0, "worker ready", nil)
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
