package scoreboard

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// duplicate is the descriptor under which another image finds the file.
func duplicate(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestAdopt(t *testing.T) {
	before := create(t)
	board, err := Open(int(before.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	board.WriteHeader(7)
	after, err := Adopt(duplicate(t, before.File()))
	if err != nil {
		t.Fatal(err)
	}
	before.Close()
	board.RequestStarted()
	if h, ok := after.View().Header(); !ok || h.PID != 7 || after.View().Counters().Started != 1 {
		t.Errorf("the board that was adopted says %+v, %+v", h, after.View().Counters())
	}
	after.View().SetDrainUntil(5)
	again, err := Adopt(duplicate(t, after.File()))
	if err != nil {
		t.Fatal(err)
	}
	after.Close()
	again.Close()
	if _, err := Adopt(0); err == nil {
		t.Error("stdin was adopted")
	}
}

func TestAdoptFleet(t *testing.T) {
	before, err := CreateFleet(10)
	if err != nil {
		t.Fatal(err)
	}
	before.Place(3).Enter(9, 1)
	after, err := AdoptFleet(duplicate(t, before.File()))
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	before.Close()
	if o := after.Occupant(3); o.ID != 9 || after.File() == nil || after.Places() != 64 {
		t.Errorf("the page that was adopted has %+v of %d places", o, after.Places())
	}
	if _, err := AdoptFleet(0); err == nil {
		t.Error("stdin was adopted")
	}
}

func TestEpoch(t *testing.T) {
	before := Monotonic()
	since := int64(time.Since(Epoch()))
	if after := Monotonic(); since < before || since > after {
		t.Errorf("%d since the epoch, while the clock went from %d to %d", since, before, after)
	}
}
