package scoreboard

import (
	"math"
	"testing"
)

// TestDue also holds what the bytes of a hostile worker may say.
func TestDue(t *testing.T) {
	limits := Limits{Timeout: 10, Stream: 20, Upgrade: 30, Request: 100}
	tests := []struct {
		name   string
		limits Limits
		slot   Slot
		want   int64
	}{
		{"no response yet", limits, Slot{Start: 1, Progress: 5}, 15},
		{"streaming", limits, Slot{Start: 1, Progress: 5, Flags: InUse | Streaming}, 25},
		{"upgraded", limits, Slot{Start: 1, Progress: 5, Flags: InUse | Streaming | Upgraded}, 35},
		{"the whole request", limits, Slot{Start: 1, Progress: 95}, 101},
		{"no limit of that kind", Limits{Stream: 20}, Slot{Start: 1, Progress: 5}, Never},
		{"only of the whole", Limits{Request: 100}, Slot{Start: 1, Progress: 5, Flags: Upgraded}, 101},
		{"none", Limits{}, Slot{Start: 1, Progress: 5}, Never},
		{"before time began", limits, Slot{Start: -1, Progress: math.MinInt64}, Never},
		{"after its end", limits, Slot{Start: math.MaxInt64, Progress: math.MaxInt64 - 5}, Never},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.limits.Due(tt.slot); got != tt.want {
				t.Errorf("due at %d, want %d", got, tt.want)
			}
		})
	}
	if d := limits.Shortest(); d != 10 {
		t.Errorf("the shortest is %d", d)
	}
	if d := (&Limits{Stream: 7}).Shortest(); d != 7 {
		t.Errorf("the only one is %d", d)
	}
	if d := (&Limits{}).Shortest(); d != 0 {
		t.Errorf("the shortest of none is %d", d)
	}
}
