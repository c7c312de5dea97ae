//go:build linux

package history

import (
	"reflect"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/state"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// TestPicture: each step has what was finished in it, and the most that there was.
func TestPicture(t *testing.T) {
	var h History
	begin, counts := time.Unix(1000, 0), make([]uint64, scoreboard.HistogramBuckets)
	seen := Seen{Known: true, Histogram: counts}
	note := func(after time.Duration, inFlight, finished uint64, bucket int, memory uint64) {
		counts[bucket] += finished
		seen.Finished += finished
		seen.InFlight, seen.Memory, seen.Workers = inFlight, memory, memory/20
		h.Note(begin.Add(after), seen)
	}
	note(0, 7, 100, 3, 0) // which may have been long ago
	note(5*time.Second, 9, 10, 10, 50)
	note(10*time.Second, 1, 0, 10, 40)
	note(Step, 2, 0, 10, 60)
	note(2*Step, 3, 30, 20, 60)
	note(10*Step, 0, 16, 12, 0)
	points := h.Points(begin.Add(10 * Step))
	low, high := scoreboard.BucketBound(9), scoreboard.BucketBound(10)
	want := []Point{
		{At: begin.Add(10 * time.Second), Known: true, InFlight: 9, Rate: 1, Memory: 50, Workers: new(uint64(2)), P50: low + (high-low)/2, P90: low + (high-low)*9/10, P99: low + (high-low)*99/100},
		{At: begin.Add(Step), Known: true, InFlight: 2, Memory: 60, Workers: new(uint64(3))},
		{At: begin.Add(2 * Step), Known: true, InFlight: 3, Rate: 2, Memory: 60, Workers: new(uint64(3))},
		{At: begin.Add(10 * Step), Known: true, Rate: 16. / 120, Workers: new(uint64)},
	}
	for i := range want[2:] {
		p := &points[i+2]
		bucket := []int{20, 12}[i]
		if low, high := scoreboard.BucketBound(bucket-1), scoreboard.BucketBound(bucket); p.P50 < low || p.P50 > p.P90 || p.P90 > p.P99 || p.P99 > high {
			t.Errorf("the quantiles of %d are %v, %v and %v, want some from %v to %v", i+2, p.P50, p.P90, p.P99, low, high)
		}
		p.P50, p.P90, p.P99 = 0, 0, 0
	}
	if !reflect.DeepEqual(points, want) {
		t.Errorf("there are\n%+v, want\n%+v", points, want)
	}
}

// TestBounded: an hour and no more is kept, also over an upgrade, and nothing that goes
// backwards or is not known does harm.
func TestBounded(t *testing.T) {
	h, begin := &History{}, time.Unix(1_000_000, 0)
	now := begin
	for i := range 5000 {
		now = now.Add(time.Duration(1+i%20) * time.Second)
		h.Note(now, Seen{Known: i%7 != 0, Finished: uint64(10000 - i), Histogram: make([]uint64, i%3), InFlight: uint64(i), Memory: 1, Workers: 3})
		if len(h.points) > Most {
			t.Fatalf("there are %d", len(h.points))
		}
	}
	points := h.Points(now)
	if first := points[0].At; now.Sub(first) > Kept || now.Sub(first) < Kept-2*Step {
		t.Errorf("the first is %v old", now.Sub(first))
	}
	next := &History{}
	text, _, err := state.Write(h, begin)
	if err == nil {
		_, err = state.Read(text, next, begin)
	}
	if err != nil || len(text) > 64<<10 {
		t.Fatalf("the state has %d bytes, %v", len(text), err)
	}
	if got := next.Points(now); len(got) != len(points) || !got[5].At.Equal(points[5].At) || got[5].InFlight != points[5].InFlight || got[5].Workers == nil || *got[5].Workers != 3 {
		t.Errorf("after an upgrade there are %d, %+v; want %+v", len(got), got[5], points[5])
	}
	if got := next.Points(now.Add(2 * Kept)); len(got) != 0 {
		t.Errorf("after long there are %d", len(got))
	}
}

func BenchmarkNote(b *testing.B) {
	var h History
	counts, now := make([]uint64, scoreboard.HistogramBuckets), time.Unix(1000, 0)
	for b.Loop() {
		now = now.Add(time.Second)
		counts[12] += 100
		h.Note(now, Seen{Known: true, Histogram: counts})
	}
}
