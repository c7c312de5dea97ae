//go:build linux

package demand

import (
	"fmt"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/worker/protocol"
)

// tell has all workers say when they are busy, as those do who can.
func (s *shop) tell() {
	s.Helper()
	for id, board := range s.boards {
		w := s.roster.Of(id)
		if w.Endpoint != nil {
			continue
		}
		var err error
		if w.Endpoint, err = notify.New(); err != nil {
			s.Fatal(err)
		}
		s.Cleanup(func() { <-w.Endpoint.Close() })
		board.CanTell()
	}
}

// asked says whether a worker was just asked to say when it is busy.
func (s *shop) asked(id int) bool {
	var message [64]byte
	n, _, err := unix.Recvfrom(s.roster.Of(id).Endpoint.ChildFd(), message[:], unix.MSG_DONTWAIT)
	return err == nil && string(message[:n]) == protocol.NotifyLook && s.boards[id].BusyAt() == 1
}

// Workers who say when they are busy are not looked at while they are not, also with
// connections open on which requests may come.
func TestTold(t *testing.T) {
	s := open(t, 2, 4, 2)
	s.tell()
	s.boards[2].ConnAccepted()
	s.look(often)
	if !s.asked(1) || !s.asked(2) {
		t.Fatal("they are not asked")
	}
	s.look(0)
	s.Told(99)
	if due := s.Due(); !due.IsZero() {
		t.Fatalf("it wakes at %v", due)
	}

	s.boards[1].RequestStarted()
	s.Told(1)
	if d := s.look(often); d.InFlight[0].N != 1 || s.boards[1].BusyAt() != 0 {
		t.Errorf("%+v, want one in flight", d)
	}
	due := s.Due()
	s.Told(1)
	s.Told(2) // there is something to do anyway
	if s.Due() != due {
		t.Error("it hurries")
	}
	s.boards[1].RequestFinished(200)
	s.look(often)
	if !s.asked(1) || !s.asked(2) {
		t.Error("they are not asked again")
	}
	s.look(0)

	s.boards[2].RequestStarted()
	s.boards[2].RequestFinished(200)
	s.Told(2)
	if d := s.look(often); d.InFlight[1].N != 1 {
		t.Errorf("%+v, want the one that is over", d)
	}
	s.look(often)
	if s.asked(1) || !s.asked(2) {
		t.Error("others than the one that spoke are asked")
	}
	s.look(0)

	// Who comes is asked too, and who cannot say so is looked at.
	s.step(fleet.ScaleBy{N: 1})
	s.step(fleet.Cooperates{ID: 3}, fleet.Executed{ID: 3}, fleet.SaidReady{ID: 3})
	s.now = s.Meter.next
	s.look(rarely)
	s.tell()
	s.look(often)
	if !s.asked(3) {
		t.Error("it is not asked")
	}
	s.look(0)
}

// memory is a machine whose cgroup may have so much of it.
func memory(limit config.Size) config.Machine {
	return config.ReadMachine(fstest.MapFS{
		"proc/self/cgroup": {Data: []byte("0::/\n")}, "proc/self/mountinfo": {Data: []byte("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")},
		"sys/fs/cgroup/memory.max": {Data: fmt.Appendf(nil, "%d\n", limit)},
	})
}

// Where there are more workers than have to be, a limit of memory that changes is seen
// while nobody has anything to do; where there are not, nobody looks.
func TestRoom(t *testing.T) {
	s := open(t, 1, 4, 1)
	s.tell()
	s.options.Revisions.Current.Config.WorkerMemory = config.GiB
	s.options.Revisions.Current.Machine = memory(4 * config.GiB)
	if d := s.look(often); d.Room != 3 {
		t.Errorf("there is room for %d", d.Room)
	}
	s.look(0)
	for range 5 {
		s.boards[1].RequestStarted()
	}
	s.Told(1)
	s.look(often)
	s.step(fleet.Cooperates{ID: 2}, fleet.Executed{ID: 2}, fleet.SaidReady{ID: 2})
	s.tell()
	for range 5 {
		s.boards[1].RequestFinished(200)
	}
	s.look(often)
	s.look(roomWhile)
	if s.Resized(); s.Meter.next != s.now.Add(roomWhile) {
		t.Errorf("it looks after %v though memory is as it was", s.Meter.next.Sub(s.now))
	}
	asked := s.stale
	if s.look(roomWhile); s.stale != asked+1 {
		t.Error("nobody asks for the limits of the machine")
	}
	s.options.Revisions.Current.Machine = config.Machine{}
	if s.look(roomWhile); s.stale != asked+2 {
		t.Error("nobody asks for the limits of the machine where none is known")
	}
	s.options.Revisions.Current.Machine = memory(8 * config.GiB)
	if s.Resized(); s.Meter.next.After(time.Now()) {
		t.Error("nobody looks though there is more memory")
	}
	s.Meter.next = s.now.Add(roomWhile)
	if d := s.look(roomWhile); d.Room != 7 {
		t.Errorf("then for %d", d.Room)
	}
	if said := s.Fields(); !slices.ContainsFunc(said, zap.Int("memory_for", 7).Equals) {
		t.Errorf("the log says %v", said)
	}
}
