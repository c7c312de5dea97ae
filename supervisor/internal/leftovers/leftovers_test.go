//go:build linux

package leftovers

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// orphan is one that leads a session and a group of its own, or is in those of a
// leader.
func orphan(pid, session int, env ...string) process.Orphan {
	return process.Orphan{Pid: pid, Group: session, Session: session, Env: env}
}

// ids are the pids of what is to end, and whose it is.
func ids(over []Leftover) (all []string) {
	for _, o := range over {
		text := fmt.Sprintf("%d of %d", o.Pid, o.Owner)
		if o.Again {
			text += " again"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// TestSort: what a worker left behind ends with it, as far as that can be known,
// and what cannot come from a worker is left alone.
func TestSort(t *testing.T) {
	own, err := unix.Getsid(0)
	if err != nil {
		t.Fatal(err)
	}
	one, two := Leader{ID: 1, PID: 1001, Busy: true}, Leader{ID: 2, PID: 1002, Busy: true}
	says := func(id int) string { return fmt.Sprintf("GOSUPER_WORKER_ID=%d", id) }
	adopted := func() []process.Orphan {
		return []process.Orphan{
			orphan(2001, 2001, says(1)),
			orphan(2002, 2002, says(2)),
			orphan(2003, 2003),          // says nothing
			orphan(2004, own, says(1)),  // in the session of the master
			orphan(2005, 3001, says(1)), // in that of a guest
			{Pid: 2006, Group: 2006, Session: 1001},
		}
	}
	for _, shared := range []bool{false, true} {
		l := New()
		l.Meet([]int{3001})
		l.Shared = shared
		if over := l.sort(adopted(), []Leader{one, two}); len(over) > 0 {
			t.Errorf("while all live %v are to end", ids(over))
		}
		one.Alone = true
		l.Died(one)
		if got, want := ids(l.sort(adopted(), []Leader{two})), []string{"2001 of 1", "2006 of 1"}; !slices.Equal(got, want) {
			t.Errorf("after worker 1 %v are to end, want %v", got, want)
		}
		l.Died(two)
		want := []string{"2001 of 1 again", "2002 of 2", "2003 of 0", "2006 of 1 again"}
		if shared {
			want = slices.Delete(want, 2, 3)
		}
		if got := ids(l.sort(adopted(), nil)); !slices.Equal(got, want) {
			t.Errorf("after both %v are to end, want %v", got, want)
		}
		over, rest := l.rest(adopted(), nil)
		want = []string{"2001 of 1 again", "2002 of 2 again", "2003 of 0 again", "2006 of 1 again"}
		if shared {
			want[2] = "2003 of 0"
		}
		if got := ids(over); !slices.Equal(got, want) || len(rest) != 4 {
			t.Errorf("in the end %v of %d are to end, want %v of 4", got, len(rest), want)
		}
	}
}

// TestKilled: who was killed with the worker, in whatever session, was not left behind,
// though it may take a while to end.
func TestKilled(t *testing.T) {
	l := New()
	l.Died(Leader{ID: 1, PID: 1001})
	killed := orphan(2001, 2001, "GOSUPER_WORKER_ID=1")
	killed.Killed = true
	adopted := func() []process.Orphan { return []process.Orphan{killed, orphan(2002, 2002, "GOSUPER_WORKER_ID=1")} }
	if got := ids(l.sort(adopted(), nil)); !slices.Equal(got, []string{"2002 of 1"}) {
		t.Errorf("%v are to end, want the one that was not killed", got)
	}
	if over, rest := l.rest(adopted(), nil); len(over) != 1 || over[0].Pid != 2002 || len(rest) != 2 {
		t.Errorf("in the end %v of %d are to end, want the one of 2 that was not killed", ids(over), len(rest))
	}
}

// TestLost: what SIGKILL took along with a worker that ended by itself is told of
// once.
func TestLost(t *testing.T) {
	killed := process.Orphan{Pid: 2001, Group: 1001, Status: process.Status{Signal: syscall.SIGKILL}}
	l := New()
	if !l.quiet(nil) || l.quiet([]process.Orphan{killed}) {
		t.Error("it is quiet when it is not")
	}
	l.Died(Leader{ID: 1, PID: 1001})
	if _, _, found := l.lost([]process.Orphan{killed}); found {
		t.Error("what ended with a worker that was killed counts as lost")
	}
	l.Died(Leader{ID: 1, PID: 1001, Alone: true, Stop: syscall.SIGTERM})
	helper := killed
	helper.Ignored = 1<<(syscall.SIGINT-1) | 1<<(syscall.SIGTERM-1)
	if _, _, found := l.lost([]process.Orphan{helper}); found {
		t.Error("what ignores the stop signal counts as lost")
	}
	killed.Ignored = 1 << (syscall.SIGINT - 1)
	exited := process.Orphan{Pid: 2002, Group: 1001}
	if o, id, found := l.lost([]process.Orphan{exited, killed}); !found || o.Pid != 2001 || id != 1 {
		t.Errorf("lost: process %d of worker %d, %v", o.Pid, id, found)
	}
	if _, _, found := l.lost([]process.Orphan{killed}); found {
		t.Error("it is told of twice")
	}
}

// TestLook: a look takes its time, and what happens meanwhile is not lost.
func TestLook(t *testing.T) {
	l := New()
	l.Shared = true
	one, two := Leader{ID: 1, PID: 1001}, Leader{ID: 2, PID: 1002}
	l.Died(one)
	if !l.begin() || l.begin() || !l.due {
		t.Error("two looks are under way, or the second is not due")
	}
	l.Died(two)
	l.Reaped(2001)
	over := l.sort([]process.Orphan{orphan(2001, 2001, "GOSUPER_WORKER_ID=1"), orphan(2002, 2002, "GOSUPER_WORKER_ID=1")}, nil)
	if got := ids(over); !slices.Equal(got, []string{"2002 of 1"}) {
		t.Errorf("%v are to end, want the one that was not reaped meanwhile", got)
	}
	if !l.begin() || l.due {
		t.Error("the next look does not begin")
	}
	// Its group is killed, and what it had started elsewhere is adopted only now.
	if got := ids(l.sort([]process.Orphan{{Pid: 2003, Group: 2003, Session: 1002}}, nil)); !slices.Equal(got, []string{"2003 of 2"}) {
		t.Errorf("%v are to end, want what is left of the one that died during a look", got)
	}
	l.begin()
	l.giveUp()
	if l.quiet(nil) || !l.begin() {
		t.Error("a look that was given up is not due, or still under way")
	}
}
