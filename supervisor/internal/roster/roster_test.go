//go:build linux

package roster

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/output"
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

// What a worker that lives has beside its first pipe, and what those that are gone have
// left, is gone on with by another list of the same.
func TestStrays(t *testing.T) {
	r, w := New(), numbered(7)
	if err := w.Open(output.Options{To: toNobody{}}); err != nil {
		t.Fatal(err)
	}
	r.Enter(w)
	left, err := process.NewTail(process.Stderr, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r.Leave(left)
	strays := r.Save()
	if len(strays) != 2 || strays[0].Worker != 7 || strays[0].Tail != w.Stdout() || strays[1].Worker != 0 || strays[1].Tail != left {
		t.Fatalf("strays are %+v", strays)
	}
	for _, one := range []*process.Tail{w.Tails()[0], w.Stdout(), left} {
		defer one.Close()
		one.CloseWriteEnd()
	}

	next, pipe := New(), [2]int{}
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[1])
	var read struct {
		Strays []Stray `state:"strays"`
	}
	text := fmt.Sprintf(`{"strays": [{"worker": 7}, {"worker": 8, "pipe": %d, "stream": "stdout"}, {"pipe": -1}]}`, pipe[0])
	if _, err := state.Read([]byte(text), &read, time.Time{}); err != nil {
		t.Fatal(err)
	}
	next.Enter(w)
	next.Enter(numbered(8)) // which has no output that its stdout could be beside
	stdout := w.Stdout()
	next.Reopen(read.Strays, toNobody{})
	if w.Stdout() != stdout {
		t.Error("a stdout that was read with its worker is replaced")
	}
	all := next.Left()
	if len(all) != 1 || all[0].Stream() != process.Stdout {
		t.Fatalf("left are %d pipes, want the one that is open", len(all))
	}
	all[0].Close()
}
