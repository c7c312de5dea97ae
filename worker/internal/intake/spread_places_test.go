//go:build linux

package intake

import (
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// TestEveryPlaceIsSeen: whoever accepts yields to one that is idle, wherever both are.
func TestEveryPlaceIsSeen(t *testing.T) {
	for _, n := range []int{2, 4, 9, 65} {
		fleet := newFleet(t)
		for place := range n {
			p := fleet.Place(place)
			p.SetBusy(3)
			p.Enter(uint64(place+1), 0)
		}
		for own := range n {
			s := &spread{fleet: fleet, own: own}
			for idle := range n {
				fleet.Place(idle).SetBusy(0)
				if got := s.consider(standing{busy: 3, open: 3}); idle != own && got.place != idle {
					t.Errorf("of %d, place %d yields to %+v and not to place %d", n, own, got, idle)
				}
				fleet.Place(idle).SetBusy(3)
			}
		}
	}
}

// TestPlacesAreTaken follows workers that come and go.
func TestPlacesAreTaken(t *testing.T) {
	fleet := newFleet(t)
	s := &spread{fleet: fleet, own: 1}
	yields := func() int {
		if got := s.consider(standing{busy: 1, open: 1}); got.time > 0 {
			return got.place
		}
		return -1
	}
	if got := yields(); got != -1 {
		t.Errorf("alone it yields to place %d", got)
	}
	for place := 2; place < 12; place += 3 {
		fleet.Place(place).Enter(uint64(place+1), 0)
		if got := yields(); got != place {
			t.Errorf("to the next one, in place %d, it yields as to %d", place, got)
		}
		fleet.Place(place).SetBusy(1)
		fleet.Place(place).SetOpen(1)
	}
	fleet.Place(40).Enter(41, 0)
	s.counted -= recount
	if got := yields(); got != 40 {
		t.Errorf("after a recount it yields to %d", got)
	}
	for place := 2; place <= 40; place++ {
		fleet.Clear(place)
	}
	s.counted -= recount
	if got := yields(); got != -1 || s.taken != 2 {
		t.Errorf("alone again it yields to %d; %d places", got, s.taken)
	}
}

// TestTurnover has a worker that ends 2000 requests a second, of which an excess of
// two is a thing of the moment, and as many connections, or keeps them.
func TestTurnover(t *testing.T) {
	tests := []struct {
		name          string
		busy, open    uint64
		ended, closed uint64 // in a second
		want          bool   // to leave the connection to one that is busy with one request and has one connection
	}{
		{"excess of 1, at rest", 2, 2, 0, 0, true},
		{"excess of 1", 2, 2, 2100, 2100, false},
		{"excess of 2", 3, 3, 2100, 2100, false},
		{"excess of 3", 4, 4, 2100, 2100, true},
		{"excess of 10 connections that end", 1, 11, 2100, 2100, false},
		{"excess of 11 connections that end", 1, 12, 2100, 2100, true},
		{"excess of 2 connections that are kept", 1, 3, 2100, 0, true},
		{"excess of 2 of both, connections that are kept", 3, 3, 2100, 0, true},
		{"excess of 1 connection that is kept", 1, 2, 2100, 0, false},
		{"fewer connections", 3, 0, 2100, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &spread{fleet: newFleet(t)}
			p := s.fleet.Place(1)
			p.SetBusy(1)
			p.SetOpen(1)
			p.Enter(1, 0)
			s.looked = scoreboard.Monotonic() - int64(time.Second)
			got := s.consider(standing{tt.busy, tt.open, tt.ended, tt.closed})
			if (got.time > 0) != tt.want {
				t.Errorf("%+v", got)
			} else if got.time > 0 && got.until >= int64(tt.busy) {
				t.Errorf("%+v: owes nothing at %d", got, tt.busy)
			}
		})
	}
	t.Run("busier, with fewer connections", func(t *testing.T) {
		s := &spread{fleet: newFleet(t)}
		p := s.fleet.Place(1)
		p.SetBusy(3)
		p.SetOpen(3)
		p.Enter(1, 0)
		own := standing{busy: 2, open: 6}
		if got := s.consider(own); got.time != 0 {
			t.Errorf("%+v to one that is busier", got)
		}
		s.looked -= int64(time.Second)
		own.ended = 2100
		if got := s.consider(own); got.time == 0 {
			t.Error("nothing to one that is as busy")
		}
		p.SetBusy(5)
		if got := s.consider(own); got.time != 0 {
			t.Errorf("%+v to one that is far busier", got)
		}
	})
}
