package tally

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/state"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// successor is the tally that goes on where this one stops.
func successor(t *testing.T, before *Tally) *Tally {
	t.Helper()
	epoch := time.Unix(0, 0)
	text, _, err := state.Write(before, epoch)
	if err != nil {
		t.Fatal(err)
	}
	after := New()
	if _, err := state.Read(text, after, epoch); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, after) {
		t.Fatalf("the tally was\n%+v\nand its successor is\n%+v", before, after)
	}
	return after
}

func TestSuccessor(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	now := time.Unix(1_000_000, 0)
	tally := New()
	var reading Reading
	for id := range 50 {
		tally.Join(id, now)
		tally = successor(t, tally)
		for range r.IntN(4) {
			now = now.Add(time.Duration(r.IntN(1000)) * time.Millisecond)
			for _, f := range counters(&reading.Counters) {
				*f += uint64(r.IntN(1000))
			}
			reading.Histogram = []uint64{1, 2, uint64(r.IntN(100))}
			tally.Add(id, now, reading)
			tally = successor(t, tally)
		}
		if r.IntN(3) > 0 {
			tally.Retire(id, now, reading)
			tally = successor(t, tally)
		}
	}
}

// Counters that only one side knows disturb none of the others.
func TestRestoreOfAnother(t *testing.T) {
	text := `{"counters": {"finished": 7, "laughs": 3}, "histogram": [1, 2], "microseconds": 30, "workers": [{"id": 4, "joined": 1, "microseconds": 5,
		"counters": {"finished": {"mark": 5, "credit": 100}, "laughs": {"mark": 3}}, "from_the_future": true}]}`
	tally := New()
	if _, err := state.Read([]byte(text), tally, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	tally.Add(4, time.Unix(1, 0), Reading{Counters: scoreboard.Counters{Started: 1, Finished: 6}, Histogram: []uint64{1, 1}, Microseconds: 25})
	want := Reading{Counters: scoreboard.Counters{Started: 1, Finished: 8}, Histogram: []uint64{2, 3}, Microseconds: 50}
	if got := tally.Total(); !reflect.DeepEqual(got, want) {
		t.Errorf("total %+v, want %+v", got, want)
	}
}

func TestNames(t *testing.T) {
	if n := len(counters(new(scoreboard.Counters))); n != len(names) {
		t.Errorf("%d counters have %d names", n, len(names))
	}
}
