//go:build linux

package birth

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loader"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/sealed"
)

// toNobody is where output goes that nobody reads.
type toNobody struct{}

func (toNobody) Worker(int, process.Stream) io.Writer { return io.Discard }
func (toNobody) Joined() bool                         { return false }

// house is a master that has a revision, and no workers.
type house struct {
	Births
	loop     *loop.Loop
	roster   *roster.Roster
	files    ownfiles.Files
	revision *revision.Revision
	unneeded int
	over     int
}

func newHouse(t *testing.T, toml string) *house {
	t.Helper()
	file := filepath.Join(t.TempDir(), "supervisor.toml")
	if err := os.WriteFile(file, []byte("command = [\"/bin/true\"]\nbind = [\"127.0.0.1:0\"]\n"+toml), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(config.Source{File: file})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{Births: New(), loop: loop.New(), roster: roster.New()}
	h.files.Attach(ownfiles.Options{Loop: h.loop, Logger: zap.NewNop(), Lost: func(uint64) {}})
	var keeper socket.Keeper
	if h.revision, err = revision.First(t.Context(), c, nil, &keeper, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.revision.Close)
	h.Boards.Open()
	h.Attach(Options{
		Log: zap.NewNop(), Loop: h.loop, Output: toNobody{}, Roster: h.roster, Files: &h.files,
		Fleet:    fleet.New(1, h.revision.Settings(), func() float64 { return 0 }),
		Executed: func(*roster.Worker) {}, Unneeded: func(*roster.Worker) { h.unneeded++ }, Over: func() { h.over++ },
	})
	return h
}

// serve is the main goroutine, until the end of the test.
func (h *house) serve(t *testing.T) {
	go h.loop.ServeMain()
	t.Cleanup(h.loop.End)
}

// main does what the main goroutine has brought.
func (h *house) main(t *testing.T) {
	t.Helper()
	select {
	case do := <-h.loop.Main:
		do()
	case <-time.After(time.Minute):
		t.Fatal("nothing came of a birth")
	}
}

func (h *house) enter(id int) *roster.Worker {
	w := &roster.Worker{Identity: fleet.Identity{ID: id, Slot: 1, Place: 2, Generation: 1, Revision: 1}, Rev: h.revision}
	h.roster.Enter(w)
	return w
}

// TestOutfit: a worker gets all that ties the master to it, and nothing stays open here
// that is the worker's alone.
func TestOutfit(t *testing.T) {
	h := newHouse(t, "workers = 2\n[log]\naccess_file = \"/dev/null\"\n")
	if err := h.files.OpenAccess("/dev/null"); err != nil {
		t.Fatal(err)
	}
	defer h.files.Access().Close()
	w := h.enter(3)
	defer w.Release()
	o, err := h.outfit(w)
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := w.FDs()
	its := []int{stdout, stderr, w.Endpoint.ChildFd()}
	others := append(h.revision.Sockets.Fds(1), w.BoardFD(), h.Boards.PageFD())
	for _, fd := range slices.Concat(its, others) {
		if !slices.Contains(o.Files, fd) {
			t.Errorf("it is given %v, but not %d", o.Files, fd)
		}
	}
	if len(o.Files) != 1+len(its)+len(others)+1 {
		t.Fatalf("it is given %v, want the access log as well and nothing else", o.Files)
	}
	its = append(its, o.Files[len(o.Files)-1])
	o.Close()
	for _, fd := range its {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
			t.Errorf("descriptor %d is still open: %v", fd, err)
		}
	}
	for _, fd := range others {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			t.Errorf("descriptor %d, which others need, is gone: %v", fd, err)
		}
	}
}

// TestFrontsShareASecret: all fronts of a master are given the same, and nobody else is
// given any.
func TestFrontsShareASecret(t *testing.T) {
	h := newHouse(t, "worker_class = \"proxy\"\n")
	read := func(id int) string {
		t.Helper()
		w := h.enter(id)
		t.Cleanup(w.Release)
		o, err := h.outfit(w)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		if !slices.Contains(o.Files, h.Fronts) {
			t.Fatalf("worker %d is given %v, and not %d", id, o.Files, h.Fronts)
		}
		text := make([]byte, 1<<10)
		n, err := unix.Pread(h.Fronts, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}
	one, two := read(1), read(2)
	defer unix.Close(h.Fronts)
	if len(one) != protocol.FrontSecret || one != two || one == strings.Repeat("\x00", len(one)) || !sealed.Is(h.Fronts) {
		t.Errorf("the secrets are %q and %q", one, two)
	}
	if other := newHouse(t, ""); other.front(other.revision.Config) != -1 || other.Fronts != -1 {
		t.Error("workers that are no fronts have a secret")
	}
}

// TestGivenUp: nothing is made for a worker that was given up before its turn.
func TestGivenUp(t *testing.T) {
	h := newHouse(t, "")
	w := h.enter(1)
	w.Gone = true
	pid, err := h.Launch(w, func(int, error) { t.Error("it is told of") })
	if pid != 0 || err != nil || w.Endpoint != nil || h.loop.MainBusy() || h.unneeded != 1 {
		t.Errorf("pid %d, %v, %+v", pid, err, w)
	}
}

// TestMaking: what is being made is known to be, before anybody knows what comes of it.
func TestMaking(t *testing.T) {
	h := newHouse(t, "")
	h.serve(t)
	w := h.enter(1)
	defer w.Release()
	told := 0
	if _, err := h.Launch(w, func(pid int, err error) {
		if told++; err == nil { // else this is not the main thread
			_, _ = unix.Wait4(pid, nil, 0, nil)
		}
	}); err != nil || !w.Making || told > 0 {
		t.Errorf("%v, making: %t, told %d times", err, w.Making, told)
	}
	if h.main(t); told != 1 || h.over != 1 {
		t.Errorf("told %d times, over %d times", told, h.over)
	}
}

// TestOfNoLoader: with preload a worker is asked of a loader, and an outfit for which
// there is none is given back.
func TestOfNoLoader(t *testing.T) {
	h := newHouse(t, "preload = true\n")
	w := h.enter(1)
	defer w.Release()
	if _, err := h.Launch(w, nil); !errors.Is(err, loader.ErrGone) || h.loop.MainBusy() {
		t.Errorf("without a loader: %v", err)
	}
}

// TestMake: a process that ended before anybody knew whose it was ended all the same.
func TestMake(t *testing.T) {
	h := newHouse(t, "")
	h.serve(t)
	const pid = 1 << 23 // above every pid
	var made []int
	h.Make(func() (int, error) { return pid, nil }, func(pid int, err error) { made = append(made, pid) }, func(end process.Status) { made = append(made, end.Code) })
	if !h.roster.Expecting() {
		t.Error("nobody is expected")
	}
	h.roster.ReapedOthers([]process.Orphan{{Pid: pid, Status: process.Status{Code: 7}}})
	h.main(t)
	if !slices.Equal(made, []int{pid, 7}) || h.over != 1 || h.roster.Expecting() {
		t.Errorf("made %v, over %d times", made, h.over)
	}
	h.Make(func() (int, error) { return 0, errors.New("no fork") }, func(_ int, err error) { made = nil }, func(process.Status) { t.Error("nothing ended") })
	if h.main(t); made != nil || h.over != 2 {
		t.Errorf("made %v, over %d times", made, h.over)
	}
}
