//go:build linux

package preload

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/loader"
	"github.com/gosuper/gosuper/supervisor/internal/logorder"
	"github.com/gosuper/gosuper/supervisor/internal/outfit"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/worker/protocol"
)

const pid = 1 << 23 // and those from here on are above every pid

// nowhere is where output goes that nobody wants.
type nowhere struct{}

func (nowhere) Worker(int, process.Stream) io.Writer { return io.Discard }
func (nowhere) Joined() bool                         { return true }

// house is what a master gives its loaders.
type house struct {
	t        *testing.T
	loaders  Loaders
	revision *revision.Revision
	roster   *roster.Roster
	state    fleet.LoaderState
	readyAt  time.Time
	noted    []string
	restarts []fleet.Reason
	failed   []incidents.Incident
	err      error // of making a process
	room     error // why there is no memory for another one
	asked    []int // beside whom
	ended    func(process.Status)
}

func newHouse(t *testing.T) *house {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gosuper.toml")
	if err := os.WriteFile(file, []byte("command = [\"/bin/true\"]\npreload = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(config.Source{File: file})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, loaders: New(), state: fleet.LoaderStarting}
	if h.revision, err = revision.Resolve(c); err != nil {
		t.Fatal(err)
	}
	left := leftovers.New()
	r := roster.New()
	h.roster = r
	left.Attach(leftovers.Options{Expecting: r.Expecting, Log: zap.NewNop()})
	h.loaders.Attach(Options{
		Log: logorder.New(zap.NewNop(), func() {}), Output: nowhere{}, Roster: r, Leftovers: &left,
		Note:      func(ev fleet.Event) { h.noted = append(h.noted, strings.TrimPrefix(fmt.Sprintf("%T", ev), "fleet.")) },
		State:     func(int) fleet.Loader { return fleet.Loader{State: h.state, ReadyAt: h.readyAt} },
		Failed:    func(i incidents.Incident) { h.failed = append(h.failed, i) },
		Restarted: func(why fleet.Reason) { h.restarts = append(h.restarts, why) },
		Known:     func(p int) bool { return p == pid }, Child: func(p int) bool { return p == pid+1 }, Kill: process.KillGroup,
		Make: func(_ func() (int, error), told func(int, error), ended func(process.Status)) {
			h.ended = ended
			if told(pid, h.err); h.err != nil {
				h.ended = nil
			}
		},
		Room: func(beside []int, tell func(error)) {
			h.asked = beside
			tell(h.room)
		},
		Deliver: func(_ Message, done <-chan struct{}) bool {
			<-done
			return false
		},
	})
	return h
}

// start starts a loader, and returns it.
func (h *house) start() *Loader {
	h.t.Helper()
	h.loaders.Start(fleet.Load{Revision: 1, Generation: 2}, h.revision)
	one := h.loaders.Of(1)
	if one == nil || h.loaders.ByPID(pid) != one {
		h.t.Fatalf("there is no loader: %+v", h.loaders.all)
	}
	h.t.Cleanup(func() {
		if h.loaders.Of(1) == one {
			one.channel.Close()
		}
	})
	return one
}

func (h *house) expect(noted ...string) {
	h.t.Helper()
	if !slices.Equal(h.noted, noted) {
		h.t.Errorf("noted are %v, want %v", h.noted, noted)
	}
	h.noted = nil
}

func TestLife(t *testing.T) {
	h := newHouse(t)
	one := h.start()
	if h.loaders.Ready() {
		t.Error("its program does not run yet")
	}
	h.loaders.Hear(Message{Loader: one.id, Executed: true})
	h.loaders.Hear(Message{Loader: one.id, Said: loader.Message{HasStatus: true, Status: "loading", ExtendTimeout: time.Second}})
	h.expect("LoaderExtended")
	h.loaders.Hear(Message{Loader: one.id, Said: loader.Message{Ready: true}})
	h.expect("LoaderReady")
	if !h.loaders.Ready() {
		t.Error("its program runs")
	}
	if st := h.loaders.Status(time.Now()); len(st) != 1 || st[0].Status != "loading" || *st[0].PID != pid || st[0].Generation != 2 {
		t.Errorf("the status is %+v", st)
	}
	h.loaders.Hear(Message{Loader: one.id, Said: loader.Message{HasStatus: true}})
	if st := h.loaders.Status(time.Now()); st[0].Status != "" {
		t.Errorf("it has nothing to say, and its status is %q", st[0].Status)
	}
	h.state = fleet.LoaderStopping
	h.ended(process.Status{})
	h.expect("LoaderExited")
	if len(h.loaders.All()) != 0 || h.loaders.Ending(1).Status != "" || !h.loaders.Unreliable(time.Now()) || h.loaders.Unreliable(time.Now().Add(time.Minute)) {
		t.Errorf("after its end: %+v", h.loaders)
	}
}

func TestCannotBeStarted(t *testing.T) {
	h := newHouse(t)
	h.err = errors.New("no room")
	h.loaders.Start(fleet.Load{Revision: 1}, h.revision)
	h.expect("LoaderExited")
	if e := h.loaders.Ending(1); e.Status != "no room" || len(h.loaders.All()) != 0 {
		t.Errorf("it ended with %+v", e)
	}
	h.loaders.Start(fleet.Load{Revision: 1}, h.revision)
	h.loaders.Start(fleet.Load{Revision: 2}, h.revision)
	if want := []fleet.Reason{fleet.ReasonStartup, fleet.ReasonReload}; !slices.Equal(h.restarts, want) {
		t.Errorf("counted are %v, want %v", h.restarts, want)
	}
	if h.loaders.Forget(1); h.loaders.Ending(1).Status != "" {
		t.Error("it is remembered")
	}
}

// The loader of a reload is not started where there is no memory for it beside the others; what
// nobody loads any more, or has loaded yet, is not held back.
func TestNoRoom(t *testing.T) {
	h := newHouse(t)
	h.room = errors.New("no memory")
	one := h.start()
	h.loaders.Start(fleet.Load{Revision: 2, Reason: fleet.ReasonReload}, h.revision)
	h.expect("LoaderExited")
	if e := h.loaders.Ending(2); e.Status != "no memory" || !slices.Equal(h.asked, []int{pid}) || h.loaders.Of(2) != nil {
		t.Errorf("it ended with %+v, beside %v", e, h.asked)
	}
	h.loaders.Start(fleet.Load{Revision: 2, Reason: fleet.ReasonRollback}, h.revision)
	h.expect()
	h.loaders.remove(one)
	h.loaders.remove(h.loaders.Of(2))
	h.loaders.Start(fleet.Load{Revision: 3, Reason: fleet.ReasonReload}, h.revision)
	h.expect()
}

// A loader that does not answer hangs, and its end says so. Who waited for a worker is
// told in either case.
func TestHangs(t *testing.T) {
	h := newHouse(t)
	one := h.start()
	var told []error
	o := &outfit.Outfit{}
	if err := h.loaders.Ask(1, 7, o, func(_ int, err error) { told = append(told, err) }); err != nil {
		t.Fatal(err)
	}
	late := h.loaders.Due()
	if late.IsZero() {
		t.Fatal("nobody looks whether it answers")
	}
	h.loaders.Blame(late) // the master may be late itself, and looks once more
	h.expect()
	h.loaders.Blame(h.loaders.Due())
	h.expect("LoaderHung")
	if len(told) != 1 || told[0] == nil {
		t.Errorf("who waits is told %v", told)
	}
	h.loaders.Abort(fleet.AbortLoader{Revision: 1, Reason: fleet.ReasonWatchdog})
	if e := h.loaders.Ending(1); e.Status != "did not answer within "+protocol.SpawnTimeout.String() {
		t.Errorf("while its stacks are waited for, the end is %+v", e)
	}
	sum := fleet.Summary{Unloaded: true, Loads: 2}
	if got := h.loaders.Wait(1, sum, late); !strings.HasPrefix(got, "the loader failed 2 times in a row: did not answer within 10s (") {
		t.Errorf("workers wait, for %s", got)
	}
	h.state = fleet.LoaderKilled
	h.ended(process.Status{Signal: syscall.SIGKILL})
	h.expect("LoaderExited")
	if e := h.loaders.Ending(1); e.Status != "did not answer within "+protocol.SpawnTimeout.String()+" (killed by SIGKILL)" {
		t.Errorf("it ended with %+v", e)
	}
	if i := h.failed; len(i) != 1 || i[0].Worker != 0 || i[0].Reason != "startup" || i[0].PID != pid || i[0].Status != h.loaders.Ending(1).Status {
		t.Errorf("remembered are %+v", i)
	}
	if err := h.loaders.Ask(1, 8, o, nil); !errors.Is(err, loader.ErrGone) || one.channel.Busy() {
		t.Errorf("after its end: %v", err)
	}
}

// A pid that a loader tells is one that the kernel calls a child of the master's, which
// nobody knows and which leads a session.
func TestWhoMayBeWorker(t *testing.T) {
	h := newHouse(t)
	for p, problem := range map[int]string{pid: "another one already", pid + 1: "leads no session", pid + 2: "no child"} {
		if err := h.loaders.mayBeWorker(p); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("process %d: %v, want %q", p, err, problem)
		}
	}
}

// Workers that end one after the other do not keep the memory of the others from being
// judged for good, and those that end apart do each time.
func TestUnreliable(t *testing.T) {
	l, now := New(), time.Unix(1000, 0)
	judged := 0
	for range 60 { // one every second
		now = now.Add(time.Second)
		l.WorkerDied(now)
		if !l.Unreliable(now) {
			judged++
		}
	}
	if judged != 45 {
		t.Errorf("judged in %d of 60 seconds, want all but the first 15", judged)
	}
	for range 3 {
		now = now.Add(unreliableFor)
		if l.Unreliable(now) {
			t.Error("nothing has ended for long, and memory is not judged")
		}
		l.WorkerDied(now)
		if !l.Unreliable(now.Add(unreliableFor - 1)) {
			t.Error("one has ended just now, and memory is judged")
		}
	}
}
