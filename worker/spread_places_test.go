//go:build linux

package worker

import "testing"

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
				if got := s.consider(3, 3, 0); idle != own && got.place != idle {
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
		if got := s.consider(1, 1, 0); got.time > 0 {
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
