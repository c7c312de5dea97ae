//go:build linux

package books

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
	"github.com/gosuper/gosuper/supervisor/internal/state"
	"github.com/gosuper/gosuper/supervisor/internal/tally"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

var epoch = time.Unix(0, 0)

// successor are the books that go on with what others wrote.
func successor(t *testing.T, before *Books) *Books {
	t.Helper()
	text, _, err := state.Write(before, epoch)
	if err != nil {
		t.Fatal(err)
	}
	after := New(time.Now())
	if _, err := state.Read(text, after, epoch); err != nil {
		t.Fatal(err)
	}
	after.Resume()
	return after
}

// TestSuccessor: nothing is lost by an upgrade, and nothing is counted twice.
func TestSuccessor(t *testing.T) {
	now := epoch.Add(time.Hour)
	b := New(epoch.Add(time.Minute))
	reading := tally.Reading{Counters: scoreboard.Counters{Started: 5, Finished: 3, Timeouts: 1, LogDropped: 2}, Histogram: []uint64{3}, Microseconds: 10}
	b.Started(1, now)
	b.Started(2, now)
	b.Read(1, now, reading)
	if lost := b.Gone(1, now, &reading); lost == nil || *lost != 2 {
		t.Errorf("the first took along %v, want 2", lost)
	}
	if lost := b.Gone(2, now, nil); lost != nil {
		t.Errorf("a plain one took along %d", *lost)
	}
	b.Restarted(1, fleet.ReasonCrash)
	b.Restarted(1, "stale_model")
	b.Ready(20 * time.Millisecond)
	b.LoseInnocents(1)
	b.LoseLines(4)
	b.ReloadEnded("ok")
	b.Enter(incidents.Incident{Worker: 1, At: now.UTC(), Status: "exit status 1", Lost: new(uint64(2))})
	if n := b.DropReport(now); n != 2 {
		t.Errorf("%d lines are reported, want 2", n)
	}

	after := successor(t, b)
	for what, of := range map[string]func(*Books) any{
		"counters":  func(b *Books) any { return b.Counters(3) },
		"restarts":  func(b *Books) any { return b.RestartsOf(1) },
		"incidents": func(b *Books) any { return b.Incidents(now) },
		"reloads":   func(b *Books) any { return b.Reloads() },
		"spawns":    func(b *Books) any { return b.Spawns() },
		"durations": func(b *Books) any { durations, codes := b.Requests(); return []any{durations, codes} },
		"uptime":    func(b *Books) any { return b.Uptime(now) },
		"report":    func(b *Books) any { return b.DropReport(now) },
	} {
		if was, is := of(b), of(after); !reflect.DeepEqual(was, is) {
			t.Errorf("%s: %+v become %+v", what, was, is)
		}
	}
	c := after.Counters(3)
	if *c.Requests != 3 || *c.RequestsLost != 2 || *c.InnocentsLost != 1 || *c.AccessLinesDropped != 2+4+3 || c.Restarts[control.Crash] != 1 {
		t.Errorf("counters %+v", c)
	}
}

// TestNothingHeard: what only boards tell is unknown, and not 0.
func TestNothingHeard(t *testing.T) {
	b := New(epoch)
	if c := b.Counters(1); c.Requests != nil || c.AccessLinesDropped != nil || len(c.Restarts) != len(control.Reasons()) {
		t.Errorf("counters %+v", c)
	}
	if durations, codes := b.Requests(); durations != nil || codes != nil {
		t.Errorf("durations %+v, codes %v", durations, codes)
	}
}

// TestDropReport: dropped lines are reported once, and not more often than once a
// minute.
func TestDropReport(t *testing.T) {
	b, now := New(epoch), epoch.Add(time.Hour)
	b.Started(1, epoch)
	for i, step := range []struct {
		after         time.Duration
		dropped, want uint64
	}{{0, 0, 0}, {0, 5, 5}, {time.Second, 1, 0}, {58 * time.Second, 0, 0}, {time.Second, 1, 2}, {time.Hour, 0, 0}} {
		now = now.Add(step.after)
		var reading tally.Reading
		reading.Counters.LogDropped = b.tally.Total().Counters.LogDropped + step.dropped
		b.Read(1, now, reading)
		if n := b.DropReport(now); n != step.want {
			t.Errorf("step %d: %d, want %d", i, n, step.want)
		}
	}
}

// Whatever the brain spawns a worker for has a counter.
func TestEveryReasonIsCounted(t *testing.T) {
	for _, reason := range fleet.SpawnReasons() {
		first := reason == fleet.ReasonStart || reason == fleet.ReasonSpare
		if as, ok := counted[reason]; !first && (!ok || !slices.Contains(control.Reasons(), as)) {
			t.Errorf("a restart for %q is counted as %q", reason, as)
		}
	}
	for _, as := range control.Reasons() {
		if !slices.Contains(slices.Collect(maps.Values(counted)), as) {
			t.Errorf("nothing is counted as %q", as)
		}
	}
}

// TestOwnReasons: wishes of workers are counted by what they say, which may be anything.
func TestOwnReasons(t *testing.T) {
	b := New(epoch)
	for _, why := range []fleet.Reason{fleet.ReasonStart, fleet.ReasonRecycle, fleet.ReasonLeft, "tired", "tired"} {
		b.Restarted(0, why)
	}
	if c := b.Counters(0); c.Restarts[control.Recycle] != 4 || !maps.Equal(c.RecycleReasons, map[string]uint64{"tired": 2}) || b.RestartsOf(0) != 4 {
		t.Errorf("counters %+v, %d restarts of the slot", c, b.RestartsOf(0))
	}
	for i := range 100 {
		b.Restarted(0, fleet.Reason(fmt.Sprint("tired_", i)))
	}
	b.Restarted(0, "tired")
	if c := b.Counters(0).RecycleReasons; len(c) != 16+1 || c["tired"] != 3 || c[control.OtherReason] != 100-15 {
		t.Errorf("reasons %v", c)
	}
}

// TestSpawnsOfAnother: counts of other buckets are those of the first that holds
// them all.
func TestSpawnsOfAnother(t *testing.T) {
	b := New(epoch)
	text := `{"spawns": {"bounds": [10000000, 20000000, 600000000000], "counts": [1, 2, 4, 8], "sum": 5000000000}}`
	if _, err := state.Read([]byte(text), b, epoch); err != nil {
		t.Fatal(err)
	}
	b.Resume()
	b.Ready(15 * time.Millisecond)
	h := b.Spawns()
	want := make([]uint64, len(spawnBounds)+1)
	want[0], want[1], want[len(spawnBounds)] = 1, 2+1, 4+8
	if !slices.Equal(h.Counts, want) || h.Sum != 5.015 || len(h.Bounds) != len(spawnBounds) {
		t.Errorf("%+v, want counts %v", h, want)
	}
}

func TestRequests(t *testing.T) {
	b := New(epoch)
	b.Started(1, epoch)
	counts := make([]uint64, lastBound+3)
	counts[0], counts[firstBound], counts[lastBound+2] = 1, 2, 4
	b.Read(1, epoch.Add(time.Hour), tally.Reading{Counters: scoreboard.Counters{Started: 7, Finished: 7, Status: [5]uint64{1: 7}}, Histogram: counts})
	h, codes := b.Requests()
	if *codes != [5]uint64{1: 7} || h.Counts[0] != 3 || h.Counts[len(h.Bounds)] != 4 || len(h.Counts) != len(h.Bounds)+1 {
		t.Errorf("codes %v, durations %+v", codes, h)
	}
}

func TestOnce(t *testing.T) {
	b := New(epoch)
	if !b.Once("a") || b.Once("a") || !b.Once("b") {
		t.Error("something is said twice, or never")
	}
}
