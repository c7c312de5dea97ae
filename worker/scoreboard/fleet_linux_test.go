package scoreboard

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/sealed"
)

func createFleet(t testing.TB, places int) *Fleet {
	t.Helper()
	f, err := CreateFleet(places)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestFleet has two places seen through two mappings.
func TestFleet(t *testing.T) {
	master := createFleet(t, 65)
	if n := master.Places(); n != 128 {
		t.Errorf("%d places, want 128", n)
	}
	worker, err := OpenFleet(int(master.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	p := worker.Place(127)
	p.SetBusy(3)
	p.SetOpen(9)
	if o := master.Occupant(127); o != (Occupant{}) {
		t.Errorf("%+v before Enter", o)
	}
	p.Enter(7, 10)
	if o, want := master.Occupant(127), (Occupant{ID: 7, Busy: 3, Open: 9, Capacity: 10, Beat: 1}); o != want {
		t.Errorf("%+v, want %+v", o, want)
	}
	if o := master.Occupant(126); o != (Occupant{}) {
		t.Errorf("the neighbour says %+v", o)
	}
	master.Clear(127)
	master.Clear(128)
	master.Clear(-1)
	if o := worker.Occupant(127); o != (Occupant{}) {
		t.Errorf("%+v once gone", o)
	}
	for _, n := range []int{-1, 128} {
		if worker.Place(n) != nil {
			t.Errorf("place %d exists", n)
		}
	}
}

// TestFleetLayout holds the bytes that other languages read and write.
func TestFleetLayout(t *testing.T) {
	f := createFleet(t, 1)
	p := f.Place(1)
	p.SetBusy(0x0102)
	p.SetOpen(5)
	p.Enter(0xff, 4)
	want := map[int]byte{64: 2, 65: 1, 64 + 8: 4, 64 + 16: 1, 64 + 24: 0xff, 64 + 32: 5}
	for i, b := range f.data {
		if b != want[i] {
			t.Errorf("byte %d is %d, want %d", i, b, want[i])
		}
	}
}

func TestOpenFleetRefuses(t *testing.T) {
	board := create(t)
	if f, err := OpenFleet(int(board.File().Fd())); err != nil {
		t.Error(err) // as good as any sealed memory of whole pages
	} else {
		f.Close()
	}
	odd, err := sealed.Empty("odd")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(odd)
	if _, err := seal(odd, 100); err != nil {
		t.Fatal(err)
	}
	unsealed, err := sealed.Empty("unsealed")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(unsealed)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for name, fd := range map[string]int{"not whole pages": odd, "unsealed": unsealed, "no memory": int(null.Fd()), "closed": 9999} {
		if _, err := OpenFleet(fd); err == nil {
			t.Errorf("%s: opens", name)
		}
	}
	if _, err := CreateFleet(0); err == nil {
		t.Error("creates a fleet of nobody")
	}
}
