//go:build linux

package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// stacks is logged of a loader that hangs.
const stacks = "loader hangs, asking for its stacks"

// Whatever a loader does to one worker, the others serve, and the fleet is whole again
// when it does what it should.
func TestLoaderMischief(t *testing.T) {
	for _, c := range []struct {
		how   string
		msg   string // is logged
		match match
		quick bool // the loader goes on
	}{
		{how: "fail", msg: "worker boot failed", match: match{"status": "the loader could not make the worker"}, quick: true},
		{how: "killed", msg: "worker boot failed", match: match{"status": "killed by SIGKILL"}, quick: true},
		{how: "exit", msg: "loader ended, its workers live on", match: match{"status": "exit status 7"}},
		{how: "close", msg: stacks, match: match{"failure": "closed its end of GOSUPER_LOADER_FD"}},
		{how: "hang", msg: stacks, match: match{"failure": "did not answer within 10s"}},
		{how: "deaf", msg: "killing loader", match: match{"failure": "did not answer within 10s"}},
		{how: "stopped", msg: stacks, match: match{"failure": "did not answer within 10s"}},
		{how: "early", msg: stacks, match: match{"failure": "did not answer within 10s"}},
		{how: "no session", msg: "a message of a loader or its workers is ignored", match: nil},
		{how: "foreign", msg: "a message of a loader or its workers is ignored", match: nil, quick: true},
		{how: "flood", msg: "a message of a loader or its workers is ignored", match: nil, quick: true},
	} {
		t.Run(c.how, func(t *testing.T) {
			t.Parallel()
			p := preload(t, "", "[restart]", `backoff_max = "200ms"`)
			p.wait(t, 0, "ready", nil)
			loader := p.wait(t, 0, "loader ready", nil).num("pid")
			neighbour := p.workers()[1]
			p.do(t, c.how)
			from := p.kill(t, 0)
			e := p.wait(t, from, c.msg, c.match)
			if c.how == "fail" && !strings.Contains(e.str("last_lines"), "no memory for a fork") {
				t.Errorf("the last lines are %v", e.fields["last_lines"])
			}
			if f := p.forkedFacts(); f.PID != neighbour && c.how != "foreign" && c.how != "flood" {
				t.Errorf("the one that answers is %d, not %d", f.PID, neighbour)
			}
			p.do(t, "")
			pid := p.wait(t, from, "worker ready", match{"slot": 0}).num("pid")
			if session, err := unix.Getsid(pid); err != nil || session != pid || pid == 1 {
				t.Errorf("process %d is taken for the worker: %v", pid, err)
			}
			if f := p.forkedFacts(); c.quick && f.Loader != loader {
				t.Errorf("another loader, %d", f.Loader)
			}
			if c.msg == stacks {
				p.contains(t, "Current thread")
				p.contains(t, "loader.py\", line")
			}
			if p.workers()[1] != neighbour {
				t.Error("the other worker is gone")
			}
		})
	}
}

// What a loader has made is there although it ended then, and if both have ended it is known how.
func TestLoaderEndsBehindItsWorker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		how, msg string
		match    match
	}{
		{"end", "worker ready", match{"slot": 0}},
		{"both end", "worker boot failed", match{"slot": 0, "status": "killed by SIGKILL"}},
	} {
		t.Run(c.how, func(t *testing.T) {
			t.Parallel()
			p := preload(t, "")
			p.wait(t, 0, "ready", nil)
			p.do(t, c.how)
			from := p.kill(t, 0)
			p.wait(t, from, "loader ended, its workers live on", match{"status": "killed by SIGKILL"})
			p.wait(t, from, c.msg, c.match)
			p.do(t, "")
			if started := len(p.all(from, "loader started", nil)); started > 0 && c.how == "end" {
				t.Error("another loader was started")
			}
			from = p.kill(t, 1)
			p.wait(t, from, "worker ready", match{"slot": 1})
		})
	}
}

// A worker that says too late that it is there is ended, and has run nothing.
func TestForkedTooLate(t *testing.T) {
	t.Parallel()
	p := preload(t, "", "workers = 1")
	p.wait(t, 0, "ready", nil)
	p.do(t, "late")
	from := p.kill(t, 0)
	p.wait(t, from, stacks, match{"reason": "watchdog"})
	p.do(t, "")
	p.wait(t, from, "worker ready", match{"slot": 0})
}

// What [limits] says holds for the loader and for the workers that it makes, also for
// those of a reload that changed it.
func TestPreloadLimits(t *testing.T) {
	t.Parallel()
	p := preload(t, "", "workers = 1", "[limits]", "nofile = 500", `as = "1000TiB"`, "core = 0")
	p.wait(t, 0, "ready", nil)
	expect := func(from int, nofile, as string) {
		t.Helper()
		for _, pid := range []int{p.wait(t, from, "loader ready", nil).num("pid"), p.workers()[0]} {
			all := rlimits(t, pid)
			if all["Max open files"] != nofile || all["Max address space"] != as || all["Max core file size"] != "0 0" {
				t.Errorf("process %d has the limits %v", pid, all)
			}
		}
	}
	expect(0, "500 500", "1099511627776000 1099511627776000")
	before, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	p.rewrite(strings.NewReplacer("nofile = 500", "nofile = 400", "1000TiB", "900TiB").Replace(string(before)))
	from := p.mark()
	p.reload()
	expect(from, "400 400", "989560464998400 989560464998400")
}

// Loader and workers end with a master that is killed, also while a worker is being made.
func TestPreloadOrphans(t *testing.T) {
	t.Parallel()
	p := preload(t, "")
	p.wait(t, 0, "ready", nil)
	p.do(t, "slow")
	p.wait(t, p.kill(t, 0), "worker crashed", nil)
	p.signal(syscall.SIGKILL)
	p.end()
	p.gone(late)
}
