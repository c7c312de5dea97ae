//go:build linux

package roster

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/state"
)

const pid = 1 << 23 // and those from here on are above every pid

// numbered is a worker with an id.
func numbered(id int) *Worker { return &Worker{Identity: fleet.Identity{ID: id}} }

func TestLife(t *testing.T) {
	r, w := New(), numbered(1)
	r.Enter(w)
	if r.Of(1) != w || r.Len() != 1 || !r.Unborn(1) || !r.Expecting() || r.Has(pid) {
		t.Errorf("before its birth: %+v", r)
	}
	if _, ended := r.Born(1, pid); ended || r.Unborn(1) || r.Expecting() || !r.Has(pid) {
		t.Errorf("after its birth: %+v", r)
	}
	if r.Reaped(pid) != w || r.Has(pid) || r.Of(1) != w {
		t.Errorf("after it was reaped: %+v", r)
	}
	if r.Remove(1); r.Of(1) != nil || r.Len() != 0 {
		t.Errorf("after it was removed: %+v", r)
	}
}

func TestEndIsSeenFirst(t *testing.T) {
	r := New()
	ends := []process.Orphan{{Pid: pid, Status: process.Status{Code: 7}}}
	r.ReapedOthers(ends) // of whom nobody is expected
	r.Enter(numbered(1))
	if _, ended := r.Born(1, pid); ended {
		t.Error("an orphan's end is a worker's that came later")
	}
	r.Enter(numbered(2))
	r.Enter(numbered(3))
	r.ReapedOthers(ends)
	r.GiveUp(3)
	if end, ended := r.Born(2, pid); !ended || end.Code != 7 {
		t.Errorf("it ended with %v, %t", end, ended)
	}
	if r.Expecting() {
		t.Error("somebody is still expected")
	}
	r.Enter(numbered(4))
	r.ReapedOthers(ends)
	r.Remove(4)
	r.Enter(numbered(5))
	if _, ended := r.Born(5, pid); ended {
		t.Error("an end is kept longer than there was somebody to claim it")
	}
}

// What is no worker may end before it is known, too.
func TestOthers(t *testing.T) {
	r := New()
	ends := []process.Orphan{{Pid: pid, Status: process.Status{Code: 7}}}
	r.Expect()
	r.Enter(numbered(1))
	r.ReapedOthers(ends)
	r.GiveUp(1)
	if !r.Expecting() {
		t.Error("a process that is being made is not expected")
	}
	if end, ended := r.Came(pid); !ended || end.Code != 7 || r.Expecting() {
		t.Errorf("it ended with %v, %t", end, ended)
	}
	r.Expect()
	if _, ended := r.Came(0); ended || r.Expecting() || len(slices.Collect(r.PIDs())) != 0 {
		t.Error("a process that was not made is taken for one")
	}
}

func TestAll(t *testing.T) {
	r := New()
	for id := 3; id > 0; id-- {
		r.Enter(numbered(id))
	}
	if got := r.IDs(); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("the ids are %v", got)
	}
	for w := range r.All() {
		r.Remove(w.ID)
	}
	if r.Len() != 0 || r.Expecting() {
		t.Errorf("%d are left", r.Len())
	}
}

// toNobody is where output goes that nobody reads.
type toNobody struct{}

func (toNobody) Worker(int, process.Stream) io.Writer { return io.Discard }
func (toNobody) Joined() bool                         { return false }

// What those that are gone have left is gone on with by another list, and what older
// versions said of the stdout of one that lives.
func TestStrays(t *testing.T) {
	r := New()
	left, err := process.NewTail(process.Stderr, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer left.Close()
	defer left.CloseWriteEnd() // until then somebody may write
	r.Leave(left)
	if r.Save(); len(r.left) != 1 || r.left[0].Worker != 0 || r.left[0].Tail != left {
		t.Fatalf("strays are %+v", r.left)
	}

	var pipes [4][2]int
	for i := range pipes {
		if err := unix.Pipe2(pipes[i][:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pipes[i][1])
	}
	next, stdout := New(), fmt.Sprintf(`"stream": "stdout", "pipe": %d`, pipes[0][0])
	text := fmt.Sprintf(`{
		"workers": [{"id": 7, "tail": {"pipe": %d}, "stdout": {%s}}, {"id": 8, "tail": {"pipe": %d}}, {"id": 9}, {"id": 10}],
		"strays": [{"worker": 7, %s}, {"worker": 8, "stream": "stdout", "pipe": -1}, {"worker": 9, "stream": "stdout", "pipe": %d}, {"pipe": -1}]
	}`, pipes[1][0], stdout, pipes[2][0], stdout, pipes[3][0])
	if _, err := state.Read([]byte(text), next, time.Time{}); err != nil {
		t.Fatal(err)
	}
	known := func(yield func(fleet.Worker) bool) {
		for id := 7; id <= 9; id++ {
			var f fleet.Worker
			if f.ID = id; !yield(f) {
				return
			}
		}
	}
	next.Reopen(known, nil, toNobody{}, zap.NewNop())
	if n := next.Len(); n != 3 || next.Of(10) != nil {
		t.Errorf("there are %d workers, of whom the brain knows three", n)
	}
	for id, tails := range map[int]int{7: 2, 8: 2, 9: 0} { // of the last one there was no output that its stdout could be beside
		if n := len(next.Of(id).Tails()); n != tails {
			t.Errorf("worker %d has %d pipes, want %d", id, n, tails)
		}
	}
	all := next.Left()
	if len(all) != 1 || all[0].Stream() != process.Stdout {
		t.Fatalf("left are %d pipes, want the one that is open", len(all))
	}
	for _, t := range append(all, slices.Concat(next.Of(7).Tails(), next.Of(8).Tails())...) {
		t.Close()
	}
}
