//go:build linux

package main

import (
	"slices"
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
)

// TestHourLines: what is known of the last hour is drawn, and what is not left out.
func TestHourLines(t *testing.T) {
	h := control.History{Points: []control.Point{
		{AgoSeconds: 7200, InFlight: new(uint64(900))}, // which a clock may have made
		{AgoSeconds: 3500, InFlight: new(uint64(0))},
		{AgoSeconds: 3450, InFlight: new(uint64(50)), P99Seconds: new(2.5)},
		{AgoSeconds: 10, InFlight: new(uint64(100))},
	}}
	want := []string{
		"last hour  in flight ▁▄                           █ at most 100",
		"last hour  p99  █                             at most 2.5s",
	}
	h.Points[1].AgoSeconds = 3590
	if got := hourLines(h); !slices.Equal(got, want) {
		t.Errorf("it is\n%q, want\n%q", got, want)
	}
	h.Points[1].Workers, h.Points[3].Workers = new(uint64(4)), new(uint64(4))
	if got := hourLines(h); !slices.Equal(got, want) {
		t.Errorf("with as many workers as ever it is\n%q, want\n%q", got, want)
	}
	h.Points[0].Workers, h.Points[3].Workers = new(uint64(4)), new(uint64(8))
	if got := hourLines(h); len(got) != 3 || got[0] != "last hour  workers ▄                            █ at most 8" {
		t.Errorf("with more workers it is\n%q", got)
	}
	for _, points := range [][]control.Point{nil, {{}, {}}} {
		if got := hourLines(control.History{Points: points}); len(got) > 0 {
			t.Errorf("of nothing it is %q", got)
		}
	}
}
