//go:build linux

package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStatusString(t *testing.T) {
	for _, c := range []struct {
		status Status
		want   string
	}{
		{Status{}, "exit status 0"},
		{Status{Code: 3}, "exit status 3"},
		{Status{Signal: syscall.SIGKILL}, "killed by SIGKILL"},
		{Status{Signal: syscall.SIGQUIT, Core: true}, "killed by SIGQUIT, core dumped"},
		{Status{Signal: syscall.SIGABRT}, "aborted (SIGABRT)"},
		{Status{Signal: syscall.SIGABRT, Core: true}, "aborted (SIGABRT, core dumped)"},
		{Status{Signal: syscall.SIGSEGV, Core: true}, "segmentation fault (SIGSEGV, core dumped)"},
		{Status{Signal: 40}, "killed by signal 40"},
	} {
		if got := c.status.String(); got != c.want {
			t.Errorf("%+v is %q, want %q", c.status, got, c.want)
		}
	}
}

func TestReapStatus(t *testing.T) {
	for _, c := range []struct {
		script string
		want   Status
	}{
		{"exit 3", Status{Code: 3}},
		{"kill -KILL $$", Status{Signal: syscall.SIGKILL}},
		{"ulimit -c 0; kill -ABRT $$", Status{Signal: syscall.SIGABRT}},
	} {
		if got := await(t, start(t, sh(c.script))); got != c.want {
			t.Errorf("%q ended with %v, want %v", c.script, got, c.want)
		}
	}
}

// The group is killed while its leader is a zombie: known is asked then.
func TestReapEndsGroup(t *testing.T) {
	h := newHandshake(t)
	// Left alone, the sleeper ends with the test.
	spec := sh(`(read x <&3) & echo $!; exit 3`)
	spec.Files = []int{h.childIn, h.childOut, 2, h.childIn}
	pid := start(t, spec)
	h.started()
	var sleeper int
	h.json(t, &sleeper)
	asked := false
	for !asked {
		<-sigchld
		exits, orphans, err := reaper.Reap(func(p int) bool {
			if p != pid {
				return false
			}
			asked = true
			if err := syscall.Kill(pid, 0); err != nil {
				t.Errorf("the leader was reaped before its group was killed: %v", err)
			}
			if err := syscall.Kill(sleeper, 0); err != nil {
				t.Errorf("the premise is gone, the sleeper too: %v", err)
			}
			return true
		}, none)
		if err != nil {
			t.Fatal(err)
		}
		orphanCount += len(orphans)
		for _, e := range exits {
			delete(family, e.Pid)
			ends[e.Pid] = e.Status
			if e.Status != (Status{Code: 3}) {
				t.Errorf("ended with %v", e.Status)
			}
		}
	}
	if text, err := io.ReadAll(h.in); err != nil || len(text) > 0 { // ends with the sleeper
		t.Errorf("read %q, %v", text, err)
	}
}

func TestReapCountsOrphans(t *testing.T) {
	h := newHandshake(t)
	hold, holdEnd := newPipe(t)
	// In a session of its own the grandchild outlives the worker's group.
	spec := sh(`setsid sh -c 'echo here; read x; exit 7' <&3 & read x; exit 0`)
	spec.Files = []int{h.childIn, h.childOut, 2, hold}
	pid := start(t, spec)
	h.started()
	unix.Close(hold)
	if got := h.line(t); got != "here" {
		t.Fatalf("got %q", got)
	}
	h.out.Close()
	if status := await(t, pid); status != (Status{Code: 0}) {
		t.Errorf("worker ended with %v", status)
	}
	before := orphanCount
	unix.Close(holdEnd)
	for orphanCount == before {
		<-sigchld
		exits, orphans, err := reaper.Reap(func(int) bool { return false }, none)
		if err != nil || len(exits) > 0 {
			t.Fatalf("orphan was taken for a worker: %v, %v", exits, err)
		}
		orphanCount += len(orphans)
	}
	if text, err := io.ReadAll(h.in); err != nil || len(text) > 0 {
		t.Errorf("read %q, %v", text, err)
	}
}

// roleInit is PID 1 of a namespace: it starts a worker that leaves two orphans
// behind, and ends when everything is reaped.
func roleInit() {
	if os.Getpid() != 1 {
		fatal(fmt.Errorf("pid is %d", os.Getpid()))
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGCHLD)
	spec := sh(`for i in 1 2; do setsid sh -c 'sh -c "exit 7" & kill -KILL $$' & done; wait; exit 5`)
	spec.Files = []int{Null, 1, 2}
	worker := must(Start(spec))
	total := 0
	var ended []Exit
	for {
		exits, orphans, err := reaper.Reap(func(pid int) bool { return pid == worker }, none)
		if err != nil {
			fatal(err)
		}
		total += len(orphans)
		ended = append(ended, exits...)
		if len(ended) > 0 && total >= 2 {
			break
		}
		<-c
	}
	reportJSON(map[string]any{"orphans": total, "exits": len(ended), "own": ended[0].Pid == worker, "status": ended[0].Status.String()})
}

func TestReapAsPID1(t *testing.T) {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	usedRoles.Store("init", true)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, status := outputOf(t, Spec{
		Path: unshare,
		Argv: []string{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL", exe},
		Env:  roleEnviron("init"),
	})
	want := `{"exits":1,"orphans":2,"own":true,"status":"exit status 5"}`
	if got := strings.TrimSpace(text); got != want || status != (Status{}) {
		t.Errorf("got %s and %v, want %s", got, status, want)
	}
}

func TestSignals(t *testing.T) {
	h := newHandshake(t)
	spec := sh(`echo up; read x`)
	spec.Files = []int{h.childIn, h.childOut, 2}
	pid := start(t, spec)
	h.started()
	h.line(t)
	if err := Signal(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, syscall.WUNTRACED, nil); err != nil || !ws.Stopped() {
		t.Fatalf("worker is not stopped: %v", err)
	}
	if err := Signal(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := Continue(pid); err != nil {
		t.Fatal(err)
	}
	if got := await(t, pid); got != (Status{Signal: syscall.SIGTERM}) {
		t.Errorf("ended with %v", got)
	}
	for name, err := range map[string]error{
		"Signal": Signal(pid, syscall.SIGTERM), "KillGroup": KillGroup(pid), "Continue": Continue(pid),
	} {
		if err != nil {
			t.Errorf("%s to one that is gone: %v", name, err)
		}
	}
	for _, pid := range []int{-1, 0, 1} {
		if KillGroup(pid) == nil || Signal(pid, 0) == nil {
			t.Errorf("pid %d was not refused", pid)
		}
	}
}

func TestReapWaitsForNothing(t *testing.T) {
	r, w := newPipe(t)
	spec := sh("read x")
	spec.Files = []int{r}
	pid := start(t, spec)
	unix.Close(r)
	if exits, orphans, err := reaper.Reap(func(int) bool { return true }, none); len(exits) > 0 || len(orphans) > 0 || err != nil {
		t.Errorf("Reap returned %v, %v, %v before anything ended", exits, orphans, err)
	}
	unix.Close(w)
	await(t, pid)
}

// Children that the kernel does not let go have ended all the same: all are seen, at once,
// and let go once, by whoever can wait.
func TestReapOfThoseThatAreHeld(t *testing.T) {
	goOn, asked := make(chan struct{}), make(chan int, 100)
	held := NewReaper()
	held.wait = func(pid int) (syscall.WaitStatus, error) {
		asked <- pid
		<-goOn
		return wait(pid)
	}
	var pids []int
	r, w := newPipe(t)
	for range 2 * letGoMost {
		spec := sh("read x; exit 3")
		spec.Files = []int{r}
		pids = append(pids, start(t, spec))
	}
	unix.Close(r)
	mine := func(p int) bool { return slices.Contains(pids, p) }
	unix.Close(w)
	awaitZombies(t, pids)
	begin := time.Now()
	exits, _, err := held.Reap(mine, slices.Values(pids))
	if took := time.Since(begin); err != nil || len(exits) != len(pids) || took > 50*time.Millisecond {
		t.Errorf("%d of %d were reaped in %v: %v", len(exits), len(pids), took, err)
	}
	for _, e := range exits {
		if !slices.Contains(pids, e.Pid) || e.Status != (Status{Code: 3}) {
			t.Errorf("reaped %v", e)
		}
		if IsChild(e.Pid) {
			t.Errorf("process %d is a child after it was reaped", e.Pid)
		}
		delete(family, e.Pid)
		ends[e.Pid] = e.Status
	}
	if exits, orphans, err := held.Reap(mine, slices.Values(pids)); len(exits)+len(orphans) > 0 || err != nil {
		t.Errorf("reaped %v and %v again: %v", exits, orphans, err)
	}
	if all := Adopted(func(pid int) bool { return family[pid] }); len(all) > 0 {
		t.Errorf("those who are held are taken for orphans: %v", all)
	}
	close(goOn)
	for _, pid := range pids {
		for isDeparting(pid) {
			runtime.Gosched()
		}
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d is still there: %v", pid, err)
		}
	}
	if len(asked) != len(pids) {
		t.Errorf("the kernel was asked %d times to let %d go", len(asked), len(pids))
	}
}

// Who was hidden behind a child that is held is seen when that is let go.
func TestReapOfOneBehindAnother(t *testing.T) {
	goOn := make(chan struct{})
	held := NewReaper()
	held.wait = func(pid int) (syscall.WaitStatus, error) {
		<-goOn
		return wait(pid)
	}
	orphans := 0
	reap := func() {
		_, more, err := held.Reap(func(int) bool { return false }, none)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range more {
			delete(family, o.Pid)
			ends[o.Pid] = o.Status
		}
		orphans += len(more)
	}
	var pids []int
	for range 3 {
		pids = append(pids, start(t, sh("exit 3")))
	}
	awaitZombies(t, pids)
	reap()
	reap()
	if orphans != 1 {
		t.Errorf("%d orphans were seen before the first was let go, want one", orphans)
	}
	close(goOn)
	for orphans < len(pids) {
		select {
		case <-sigchld:
			reap()
		case <-time.After(testTimeout):
			t.Fatalf("only %d of %d orphans were seen", orphans, len(pids))
		}
	}
}

// awaitZombies waits until all of these children have ended.
func awaitZombies(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		for {
			dead, _, err := peek(unix.P_PID, pid)
			if err != nil {
				t.Fatal(err)
			}
			if dead == pid {
				break
			}
			<-sigchld
		}
	}
}

// none are the workers of a process that has none.
func none(func(pid int) bool) {}
