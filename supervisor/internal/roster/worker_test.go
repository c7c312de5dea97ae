//go:build linux

package roster

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

func TestEnding(t *testing.T) {
	asked := fleet.Worker{Until: time.Now()}
	for _, test := range []struct {
		process Process
		known   fleet.Worker
		want    string
	}{
		{Process{Status: process.Status{Signal: syscall.SIGTERM}}, asked, "stopped"},
		{Process{Status: process.Status{Signal: syscall.SIGTERM}}, fleet.Worker{}, "killed by SIGTERM"},
		{Process{Status: process.Status{Code: 3}}, asked, "exit status 3"},
		{Process{Failure: "cannot start"}, fleet.Worker{}, "cannot start"},
		{Process{PID: pid, Failure: "took too much"}, fleet.Worker{}, "took too much"}, // and lives still
		{Process{PID: pid, Gone: true, Failure: "took too much", Status: process.Status{Signal: syscall.SIGKILL}}, asked, "took too much (killed by SIGKILL)"},
	} {
		w := Worker{Process: test.process, Rev: &revision.Revision{Config: &config.Config{StopSignal: config.Signal{Name: "SIGTERM", Number: syscall.SIGTERM}}}}
		if got := w.Ending(test.known); got != test.want {
			t.Errorf("%+v: %q, want %q", test.process, got, test.want)
		}
	}
}

func TestFinalLines(t *testing.T) {
	w := &Worker{}
	if got := w.FinalLines(); got != nil {
		t.Errorf("%q of a worker that has no output", got)
	}
	if w.FailureLines = []string{"before it was killed"}; !slices.Equal(w.FinalLines(), w.FailureLines) {
		t.Errorf("%q", w.FinalLines())
	}
}

// A worker that has served its max_requests says what was asked for; another one wishes.
func TestWish(t *testing.T) {
	m, err := scoreboard.Create()
	if err != nil {
		t.Skip("no shared memory here")
	}
	board, err := scoreboard.Open(int(m.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	w := numbered(1)
	w.Memory, w.Limit = m, 1
	w.Rev = &revision.Revision{Config: &config.Config{Timeout: time.Nanosecond}}
	if got := w.Wish(fleet.ReasonRequests); got != (fleet.Wish{ID: 1, Reason: fleet.ReasonRequests}) {
		t.Errorf("before it has served them: %+v", got)
	}
	board.WriteHeader(pid)
	board.RequestStarted()
	board.Take(scoreboard.NoSlot, scoreboard.Monotonic(), 0, "GET", "/", "")
	if got := w.Wish(fleet.ReasonRequests); got != (fleet.Recycle{ID: 1, Reason: fleet.ReasonRequests}) {
		t.Errorf("after it has served them: %+v", got)
	}
	if got := w.Wish(fleet.Given("leaks")); got != (fleet.Wish{ID: 1, Reason: fleet.Given("leaks")}) {
		t.Errorf("for another reason: %+v", got)
	}
	if requests := w.Requests(); len(requests) != 1 || requests[0].Worker != 1 || requests[0].DueSeconds == nil || *requests[0].DueSeconds != 0 || !requests[0].Silent() {
		t.Errorf("in flight are %+v", requests)
	}
	w.Release()
	if requests := w.Requests(); len(requests) != 0 || w.BoardFD() != -1 {
		t.Errorf("after its end there are %+v in flight", requests)
	}
}

func TestDescribe(t *testing.T) {
	now := time.Now()
	known := fleet.Worker{Identity: fleet.Identity{ID: 1, Slot: 2, Spawned: now.Add(-time.Second)}}
	w := &Worker{Identity: known.Identity, Says: "warming up"}
	if got := w.Describe(known, now); got.ID != 1 || got.Slot != 2 || got.PID != nil || got.Requests != nil || got.Status != "warming up" || got.AgeSeconds != 1 {
		t.Errorf("before it has a process: %+v", got)
	}
	if w.PID = pid; *w.Describe(known, now).PID != pid {
		t.Errorf("with one: %+v", w.Describe(known, now))
	}
}

func TestHolders(t *testing.T) {
	address, err := socket.Parse("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	set := func() *socket.Set {
		s, err := socket.Open([]socket.Address{address}, socket.Options{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	first, second := set(), set()
	r := New()
	for id, sockets := range map[int]*socket.Set{1: first, 2: second, 3: first} {
		w := numbered(id)
		w.Rev = &revision.Revision{Sockets: sockets}
		w.Gone = id == 3
		r.Enter(w)
	}
	for sockets, want := range map[*socket.Set][]int{first: {1}, second: {2}} {
		var got []int
		for w := range r.Holders(sockets) {
			got = append(got, w.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v are held by %v, want %v", sockets.URLs(), got, want)
		}
	}
}

// Another image of the process goes on with the board; a worker without one has none.
func TestReopen(t *testing.T) {
	m, err := scoreboard.Create()
	if err != nil {
		t.Skip("no shared memory here")
	}
	defer m.Close()
	fd, err := unix.FcntlInt(uintptr(m.File().Fd()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &Worker{Board: fd}
	if err := w.Reopen(nil, zap.NewNop()); err != nil || w.Memory == nil {
		t.Errorf("%v: %+v", err, w)
	}
	w.Release()
	if none := (&Worker{Board: -1}); none.Reopen(nil, zap.NewNop()) != nil || none.Memory != nil {
		t.Errorf("it has a board: %+v", none)
	}
}
