//go:build linux

package supervisor

import (
	"slices"
	"testing"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/signals"
)

// TestOutfit: a worker gets all that ties the master to it, and nothing stays open here
// that is the worker's alone.
func TestOutfit(t *testing.T) {
	c := load(t, "workers = 2\n[log]\naccess_file = \"/dev/null\"\n")
	s, err := newSupervisor(Options{Config: c, Log: zap.NewNop(), Streams: toStderr{}}, hands{
		signals: signals.System(), guests: none, adopted: nobody,
		oom: func() (uint64, bool) { return 0, false },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.revisions.Current.Sockets.Close()
	defer s.files.Access().Close()
	w := &roster.Worker{Identity: fleet.Identity{ID: 3, Slot: 1, Place: 2, Generation: 1}, Rev: s.revisions.Current}
	defer w.Release()
	o, err := s.outfit(w)
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := w.FDs()
	its := []int{stdout, stderr, w.Endpoint.ChildFd()}
	others := append(s.revisions.Current.Sockets.Fds(1), w.BoardFD(), s.boards.PageFD())
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
