//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
	"github.com/gosuper/gosuper/worker"
)

// violations is the file in which tenants say that somebody else has their lease.
const violations = "violations"

// tenant is a worker that uses what is leased to it, its second argument: the file of that
// name in the folder of the first one, of which it has the only lock for life. It boots
// for as long as the third one says, and has a child with the lock as well if there is a
// fourth.
func tenant(args []string) error {
	dir, lease := args[0], os.Getenv("GOSUPER_RESOURCE_GPU")
	boot, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(dir, lease), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil && lease != args[1] {
		err = fmt.Errorf("its argument is %q, and its variable %q", args[1], lease)
	}
	if err == nil {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		log, openErr := os.OpenFile(filepath.Join(dir, violations), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if openErr != nil {
			return openErr
		}
		fmt.Fprintf(log, "worker %s has %q: %v\n", os.Getenv("GOSUPER_WORKER_ID"), lease, err)
		return err
	}
	defer file.Close()
	if len(args) > 3 {
		child := exec.Command("sleep", "1000")
		child.ExtraFiles = []*os.File{file}
		if err := child.Start(); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "child of "+strconv.Itoa(os.Getpid())), []byte(strconv.Itoa(child.Process.Pid)), 0o600); err != nil {
			return err
		}
	}
	time.Sleep(boot) // what a model takes to load
	return worker.ListenAndServe(os.Getenv("E2E_ADDR"), newHandler())
}

// withChild is a comment that has tenants have children.
const withChild = "# with a child"

// tenants starts a master of tenants with so many leases, which it returns the folder of.
func tenants(t *testing.T, workers, leases int, boot time.Duration, lines ...string) (m *master, dir string) {
	t.Helper()
	dir = t.TempDir()
	role := []string{dir, "{gpu}", boot.String()}
	if slices.Contains(lines, withChild) {
		role = append(role, withChild)
	}
	lines = append([]string{
		command(as("tenant", role...)...),
		fmt.Sprintf("workers = %d", workers), `ready = "notify"`, "resources = { gpu = " + gpus(leases) + " }",
	}, lines...)
	m, _ = upgradable(t, lines...)
	t.Cleanup(func() {
		if text, err := os.ReadFile(filepath.Join(dir, violations)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("two had the same lease: %s, %v", text, err)
		}
	})
	return m, dir
}

func gpus(n int) string {
	var all []string
	for i := range n {
		all = append(all, strconv.Quote(strconv.Itoa(i)))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// Nobody is refused while workers are replaced, and two never have the same lease. A
// caller waits for one boot at most where each worker has to go before its successor can
// come, and for none where there is a lease to spare.
func TestLeases(t *testing.T) {
	for _, test := range []struct {
		workers, leases int
		boot            time.Duration
		spare           bool
	}{
		{4, 4, 300 * time.Millisecond, false},
		{4, 5, 300 * time.Millisecond, true},
		{1, 1, 500 * time.Millisecond, false},
		{1, 2, 2 * time.Second, true},
	} {
		t.Run(fmt.Sprintf("%d of %d", test.workers, test.leases), func(t *testing.T) {
			m, _ := tenants(t, test.workers, test.leases, test.boot)
			r := m.load(load.Plan{Connections: 8, Mode: load.NewConnection, Pause: time.Millisecond})
			for range max(tenth(6), 2) {
				before := m.workers()
				m.reload()
				r.more(20) // or the next reload keeps somebody waiting who has waited for this one
				for slot, pid := range m.workers() {
					if before[slot] == pid {
						t.Errorf("slot %d was not reloaded", slot)
					}
				}
			}
			result := r.end()
			none(t, t.Name(), result, 40)
			most := 10 * 100 * time.Millisecond // a tenth on a quiet machine
			if !test.spare {
				most += m.longestBoot()
			}
			t.Logf("the longest wait was %v, the longest boot took %v", result.Latency.Max(), m.longestBoot())
			if wait := result.Latency.Max(); wait > most {
				t.Errorf("somebody waited for %v, at most %v are right", wait, most)
			}
		})
	}
}

// longestBoot is that of all workers so far.
func (m *master) longestBoot() (longest time.Duration) {
	for _, e := range m.all(0, "worker ready", nil) {
		d, err := time.ParseDuration(e.str("after"))
		if err != nil {
			m.t.Fatal(err)
		}
		longest = max(longest, d)
	}
	return longest
}

// freeze has a process hang in the kernel, where SIGKILL does not end it, until thaw is
// called. Only the freezer of cgroup v1 does that.
func freeze(t *testing.T, pid int) (thaw func()) {
	t.Helper()
	dir := filepath.Join("/sys/fs/cgroup/freezer", fmt.Sprintf("gosuper-e2e-%d-%d", os.Getpid(), pid))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("no freezer here: %v", err)
	}
	write := func(file, text string) error { return os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600) }
	t.Cleanup(func() {
		write("freezer.state", "THAWED")
		for end := time.Now().Add(testTimeout); syscall.Rmdir(dir) == syscall.EBUSY && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond) // between two tries: its last process is ending
		}
	})
	if err := errors.Join(write("cgroup.procs", strconv.Itoa(pid)), write("freezer.state", "FROZEN")); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := write("freezer.state", "THAWED"); err != nil {
			t.Fatal(err)
		}
	}
}

// A worker that SIGKILL does not end keeps its lease and is named. It costs neither surge
// nor a slot: the reload goes on, and so does the next one, also of another image of the
// master. When it is gone its lease is had by somebody else.
func TestLeaseOfFrozenWorker(t *testing.T) {
	t.Parallel()
	m, _ := tenants(t, 2, 3, 0, `drain_timeout = "100ms"`)
	first := m.wait(t, 0, "worker started", match{"worker": 1})
	thaw := freeze(t, first.num("pid"))
	m.reload()
	m.wait(t, 0, "worker does not die", match{"worker": 1})
	m.reload()
	m.upgrade()
	m.reload()
	for _, e := range m.all(0, "worker started", nil) {
		if lease := leaseOf(e); e.num("worker") != 1 && lease == leaseOf(first) {
			t.Errorf("worker %d has the lease of the frozen one", e.num("worker"))
		}
	}
	from := m.mark()
	m.signal(syscall.SIGTTIN)
	m.wait(t, from, "scaled", match{"workers": 3})
	thaw()
	m.wait(t, from, "worker gone", match{"worker": 1})
	if e := m.wait(t, from, "worker started", match{"slot": 2}); leaseOf(e) != leaseOf(first) {
		t.Errorf("the third worker has %s", leaseOf(e))
	}
	m.wait(t, from, "worker ready", match{"slot": 2})
}

func leaseOf(e event) string { return fmt.Sprint(e.fields["lease"]) }

// What is left of a worker's process group keeps its lease as well.
func TestLeaseOfFrozenChild(t *testing.T) {
	t.Parallel()
	m, dir := tenants(t, 1, 2, 0, withChild)
	first := m.wait(t, 0, "worker started", match{"worker": 1})
	text, err := os.ReadFile(filepath.Join(dir, "child of "+strconv.Itoa(first.num("pid"))))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	thaw := freeze(t, child)
	if answer, _, err := m.get("/exit"); err == nil && answer.StatusCode == http.StatusOK {
		t.Error("it did not exit")
	}
	second := m.wait(t, 0, "worker ready", match{"slot": 0, "worker": 2})
	if got := leaseOf(m.wait(t, 0, "worker started", match{"worker": 2})); got == leaseOf(first) {
		t.Errorf("worker 2 (process %d) has the lease of the child", second.num("pid"))
	}
	m.wait(t, 0, "what is left of a worker does not die", match{"worker": 1, "group": first.num("pid")})
	m.upgrade()
	from := m.mark()
	m.signal(syscall.SIGTTIN)
	m.wait(t, from, "scaled", match{"workers": 2})
	thaw()
	if e := m.wait(t, from, "worker started", match{"slot": 1}); leaseOf(e) != leaseOf(first) {
		t.Errorf("the second worker has %s", leaseOf(e))
	}
	m.wait(t, from, "worker ready", match{"slot": 1})
}

// gpuExample runs the example with one of its configurations, as it stands but for the port.
func gpuExample(t *testing.T, file string) *master {
	t.Helper()
	folder := absolute(t, examples+"/gpu")
	source := absolute(t, pythonPackage+"/src")
	m := start(t, launch{
		config: config(fmt.Sprintf("chdir = %q", folder), replace(t, read(t, folder+"/"+file), "127.0.0.1:8000", "127.0.0.1:0")),
		env:    []string{"VIRTUAL_ENV=" + pythonVenv(t), "PYTHONPATH=" + source, "PYTHONDONTWRITEBYTECODE=1"},
	})
	m.wait(t, 0, "ready", nil)
	return m
}

// The spare of the example answers, on the other GPU, as soon as the worker is killed.
func TestGPUExampleSpare(t *testing.T) {
	t.Parallel()
	m := gpuExample(t, "spare.toml")
	for n, gpu := range []string{"0", "1", "0"} {
		m.wait(t, 0, "spare ready", match{"worker": n + 2})
		answer, _, err := m.get("/?prompt=one")
		if err != nil || answer.Header.Get("X-Gpu") != gpu {
			t.Fatalf("%v, %v, want an answer of GPU %s", answer, err, gpu)
		}
		if err := syscall.Kill(m.wait(t, 0, "worker started", match{"worker": n + 1}).num("pid"), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		m.wait(t, 0, "spare activated", match{"worker": n + 2})
	}
}

// While the workers of the example are replaced nobody is refused, and nobody finds the
// GPU in use.
func TestGPUExample(t *testing.T) {
	t.Parallel()
	m := gpuExample(t, "supervisor.toml")
	r := m.load(load.Plan{Connections: 4, Mode: load.NewConnection})
	m.reload()
	r.more(20)
	none(t, t.Name(), r.end(), 20)
	served := map[string]bool{}
	for end := time.Now().Add(testTimeout); len(served) < 2 && time.Now().Before(end); {
		answer, body, err := m.get("/?prompt=one+two")
		if err != nil || body != "data: one\n\ndata: two\n\ndata: [DONE]\n\n" {
			t.Fatalf("%q, %v", body, err)
		}
		served[answer.Header.Get("X-Gpu")] = true
	}
	if !served["0"] || !served["1"] {
		t.Errorf("the GPUs are %v", served)
	}
	if failed := m.all(0, "worker boot failed", nil); len(failed) > 0 {
		t.Errorf("%s", failed[0].line)
	}
}
