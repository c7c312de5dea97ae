//go:build linux

package intake

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// newFleet makes the memory of a fleet of up to 1024 workers, as the master does.
func newFleet(t testing.TB) *scoreboard.Fleet {
	t.Helper()
	fleet, err := scoreboard.CreateFleet(1024)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fleet.Close() })
	return fleet
}

func TestConsider(t *testing.T) {
	type occupant struct{ id, busy, open, capacity uint64 }
	tests := []struct {
		name       string
		busy, open uint64
		others     []occupant // in places 1, 2, ...
		want       time.Duration
		place      int
	}{
		{"nobody else", 5, 5, nil, 0, 0},
		{"nothing to do", 0, 0, []occupant{{1, 0, 0, 0}}, 0, 0},
		{"even", 3, 3, []occupant{{1, 3, 3, 0}, {2, 4, 1, 0}}, 0, 0},
		{"least busy of several", 4, 4, []occupant{{1, 3, 0, 0}, {2, 1, 9, 0}, {3, 2, 0, 0}}, LongestYield * 3 / 4, 2},
		{"an idle one", 1, 1, []occupant{{1, 0, 0, 0}}, LongestYield, 1},
		{"hardly less busy", 100, 100, []occupant{{1, 99, 0, 0}}, 0, 0},
		{"as busy, fewer open", 2, 4, []occupant{{1, 2, 2, 0}}, LongestYield / 2, 1},
		{"as busy, one open less", 2, 4, []occupant{{1, 2, 3, 0}}, 0, 0},
		{"idle, fewer open", 0, 2, []occupant{{1, 0, 0, 0}}, LongestYield, 1},
		{"full", 4, 4, []occupant{{1, 2, 0, 2}, {2, 3, 0, 4}}, LongestYield / 4, 2},
		{"gone", 4, 4, []occupant{{0, 0, 0, 0}}, 0, 0},
		{"absurd", 4, 4, []occupant{{1, 1 << 63, 1 << 63, 1 << 63}}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &spread{fleet: newFleet(t)}
			for i, o := range tt.others {
				p := s.fleet.Place(i + 1)
				p.SetBusy(o.busy)
				p.SetOpen(o.open)
				p.Enter(o.id, o.capacity)
			}
			if got := s.consider(standing{busy: tt.busy, open: tt.open}); got.time != tt.want || got.place != tt.place {
				t.Errorf("%+v, want %v for place %d", got, tt.want, tt.place)
			} else if got.time > 0 && got.until >= int64(tt.busy) {
				t.Errorf("%+v: leaves nothing at %d", got, tt.busy)
			}
		})
	}
}

// TestDisregard follows a worker that lets connections wait.
func TestDisregard(t *testing.T) {
	s := &spread{fleet: newFleet(t)}
	p := s.fleet.Place(9)
	p.Enter(1, 0)
	waits := func() bool { return s.consider(standing{busy: 2, open: 2}).time > 0 }
	var total time.Duration
	for range 12 {
		s.disregard(9)
		was := s.silent[9]
		total += was.length
		was.until = scoreboard.Monotonic() + int64(time.Hour)
		if s.silent[9] = was; waits() {
			t.Fatal("waits for a worker that does not react")
		}
		was.until = 0
		s.silent[9] = was
		if !waits() {
			t.Fatal("gives it up for good")
		}
	}
	if total < time.Second {
		t.Errorf("waited for 12 times within %v", total)
	}
	s.disregard(9)
	p.SetBusy(1)
	if !waits() {
		t.Error("does not see a sign of life")
	}
	s.disregard(9)
	if s.silent[9].length != firstSilence {
		t.Errorf("%v of silence after a sign of life", s.silent[9].length)
	}
	p.Enter(2, 0)
	if !waits() {
		t.Error("takes a new worker for the old one")
	}
}

// TestGate does random things to connections, and counts for itself.
func TestGate(t *testing.T) {
	fleet, g := newFleet(t), new(Gate)
	g.Init(10, fleet.Place(0), 1)
	g.Present(true)
	rng := rand.New(rand.NewPCG(1, 2))
	type conn struct {
		*Ticket
		fresh, busy bool
	}
	var conns []*conn
	want := int64(0)
	for range 100_000 {
		switch k := rng.IntN(5); {
		case k == 0:
			if got := g.Reserve(false); got != (want < 10) {
				t.Fatalf("reserve() = %v at %d", got, want)
			} else if !got {
				continue
			}
			c := &conn{Ticket: new(Ticket), fresh: true}
			g.Admit(c.Ticket)
			conns = append(conns, c)
			want++
		case len(conns) == 0:
		case k == 1 || k == 2:
			c := conns[rng.IntN(len(conns))]
			if c.busy {
				g.End()
				c.busy = false
				want--
			} else {
				g.Begin(c.Ticket)
				if !c.fresh {
					want++
				}
				c.fresh, c.busy = false, true
			}
		case k == 3:
			i := rng.IntN(len(conns))
			if c := conns[i]; !c.busy {
				g.Forget(c.Ticket)
				if c.fresh {
					want--
				}
				conns = append(conns[:i], conns[i+1:]...)
			}
		case k == 4 && rng.IntN(10) == 0:
			// A second passes for the oldest half.
			old := len(conns) / 2
			for _, c := range conns[:old] {
				c.admitted -= int64(protocol.FreshConnection)
				if c.fresh {
					want--
				}
				c.fresh = false
			}
			g.expireFresh()
		}
		if got := g.busy.Load(); got != want {
			t.Fatalf("busy %d, want %d", got, want)
		}
		if told := fleet.Occupant(0).Busy; told != uint64(want) {
			t.Fatalf("tells %d, want %d", told, want)
		}
	}
}

// BenchmarkGate is what the gate adds to one request of a kept-alive connection, and
// what a look at the others costs.
func BenchmarkGate(b *testing.B) {
	fleet, g := newFleet(b), new(Gate)
	g.Init(1000, fleet.Place(0), 1)
	for place := 1; place < 64; place++ {
		o := fleet.Place(place)
		o.SetBusy(2)
		o.Enter(uint64(place), 1000)
	}
	b.Run("request", func(b *testing.B) {
		c := new(Ticket)
		for b.Loop() {
			g.Begin(c)
			g.End()
		}
	})
	b.Run("look at 63", func(b *testing.B) {
		s := &spread{fleet: fleet}
		for b.Loop() {
			s.consider(standing{busy: 2})
		}
	})
}
