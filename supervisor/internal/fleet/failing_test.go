package fleet

import (
	"slices"
	"testing"
	"time"
)

// TestFailing: a slot is failing once the attempts are used up, until a worker of
// it is ready; that there are others does not matter.
func TestFailing(t *testing.T) {
	s := baseSettings()
	s.Workers, s.Ready, s.StartupAttempts = 2, ReadyNotify, 3
	now := time.Unix(0, 0)
	f := New(1, s, func() float64 { return 0 })
	f.Step(now, Tick{})
	f.Step(now, SaidReady{ID: 1})
	newest := func() int { return f.lastID }
	for boots := 1; boots <= 4; boots++ {
		dead := newest()
		f.Step(now, Exited{ID: dead})
		var want []Failing
		if boots >= 3 {
			want = []Failing{{Slot: 1, Boots: boots, Culprit: dead}}
		}
		if got := f.Failing(); !slices.Equal(got, want) {
			t.Errorf("after %d boots: %+v, want %+v", boots, got, want)
		}
		for newest() == dead { // until the backoff is over
			next, ok := f.Deadline()
			if !ok {
				t.Fatal("nobody is started again")
			}
			now = next
			f.Step(now, Tick{})
		}
	}
	f.Step(now, SaidReady{ID: newest()})
	if got := f.Failing(); len(got) > 0 {
		t.Errorf("with all ready: %+v", got)
	}
}
