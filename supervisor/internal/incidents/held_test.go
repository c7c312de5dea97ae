//go:build linux

package incidents

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// written makes a board and what a worker does with it.
func written(t *testing.T, write func(*scoreboard.Board)) scoreboard.View {
	t.Helper()
	m, err := scoreboard.Create()
	if err != nil {
		t.Skip("no shared memory here")
	}
	t.Cleanup(func() { m.Close() })
	board, err := scoreboard.Open(int(m.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	board.WriteHeader(1)
	write(board)
	return m.View()
}

// TestHeld: all that the worker had are known, the oldest first, and a line of the log
// names some of them.
func TestHeld(t *testing.T) {
	now := scoreboard.Monotonic()
	ago := func(s float64) int64 { return now - int64(s*float64(time.Second)) }
	view := written(t, func(b *scoreboard.Board) {
		for i := range 9 {
			b.Take(scoreboard.NoSlot, ago(1), 0, "GET", fmt.Sprintf("/%d", i), "")
		}
		b.Mark(b.Take(scoreboard.NoSlot, ago(4), 0, "POST", "/agent\n", "abc"), scoreboard.Streaming)
		b.Mark(b.Take(scoreboard.NoSlot, ago(3), 0, "GET", "/ws", ""), scoreboard.Streaming|scoreboard.Upgraded)
		b.Mark(b.Take(scoreboard.NoSlot, ago(9), 0, "GET", "/stuck", ""), scoreboard.Ended)
		b.Free(b.Take(scoreboard.NoSlot, ago(2), 0, "GET", "/over", ""))
	})
	h := HeldOf(view, 8*time.Second).Of(new(uint64(14)))
	if len(h.Requests) != 12 || h.More != 3 || !h.Known {
		t.Fatalf("there are %d and %d more: %+v", len(h.Requests), h.More, h)
	}
	var got []string
	for _, r := range h.Requests[:4] {
		r.Age = r.Age.Round(time.Second)
		got = append(got, r.String())
	}
	want := []string{
		"GET /stuck for 8s, ended at its deadline", // no longer than the worker lived
		"POST /agent? (abc) for 4s, response begun", "GET /ws for 3s, upgraded", "GET /0 for 1s",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	fields := h.Fields()
	if len(fields) != 2 || fields[0].Key != "held" || fields[1].Key != "held_more" || fields[1].Integer != 12-logged+3 {
		t.Errorf("for the log: %+v", fields)
	}
	if fields := (Held{Known: true}).Fields(); fields != nil {
		t.Errorf("of none the log has %+v", fields)
	}
}

// TestHostileBoard: whatever is written there, and by whomever.
func TestHostileBoard(t *testing.T) {
	view := written(t, func(b *scoreboard.Board) {
		for i := range 2 * scoreboard.MaxSlots {
			start := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}[i%5]
			b.Progress(b.Take(scoreboard.NoSlot, start, 0, "\x1b[2J", strings.Repeat("\xff", 1000), "\n"), -start)
		}
	})
	h := HeldOf(view, time.Minute).Of(new(uint64(math.MaxUint64)))
	if len(h.Requests) != scoreboard.MaxSlots || h.More != maxMore {
		t.Fatalf("there are %d, and %d more", len(h.Requests), h.More)
	}
	for _, r := range h.Requests {
		if r.Age < 0 || r.Age > time.Minute || r.Idle < 0 || r.Idle > time.Minute || len(r.String()) > 300 || strings.ContainsFunc(r.String(), func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Fatalf("one is %q", r)
		}
	}
	if h := HeldOf(scoreboard.View{}, time.Minute).Of(nil); len(h.Requests) != 0 || h.More != 0 {
		t.Errorf("without a board there are %+v", h)
	}
}

func BenchmarkHeldOf(b *testing.B) {
	m, err := scoreboard.Create()
	if err != nil {
		b.Skip("no shared memory here")
	}
	defer m.Close()
	board, err := scoreboard.Open(int(m.File().Fd()))
	if err != nil {
		b.Fatal(err)
	}
	board.WriteHeader(1)
	for range scoreboard.MaxSlots {
		board.Take(scoreboard.NoSlot, scoreboard.Monotonic(), 0, "POST", "/v1/chat/completions", "0123456789abcdef")
	}
	for b.Loop() {
		HeldOf(m.View(), time.Minute)
	}
}
