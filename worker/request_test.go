//go:build linux

package worker

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// idleFixture is a worker that serves nothing by itself.
func idleFixture(t testing.TB, in inheritance) *fixture {
	t.Helper()
	return startAs(t, quiet(ok), in, hold(t))
}

func TestBegin(t *testing.T) {
	f := idleFixture(t, inheritance{limits: timeouts{Timeout: time.Hour}})
	early, late := f.beginRequest("SET", "user:1\n7"), f.beginRequest("A-VERY-LONG-METHOD", "")
	requests := f.view.Requests()
	if len(requests) != 2 || !slices.ContainsFunc(requests, func(r scoreboard.Request) bool {
		return r.Method == "SET" && r.Path == "user:1?7" && r.Flags == scoreboard.InUse
	}) {
		t.Errorf("the board has %+v", requests)
	}
	ctx := early.Context()
	early.End(200)
	early.End(500)
	early.Progress()
	late.End(0)
	for _, ctx := range []context.Context{ctx, late.Context()} {
		if cause := context.Cause(ctx); cause != context.Canceled {
			t.Errorf("after the end, the cause is %v", cause)
		}
	}
	if c := f.view.Counters(); c.Started != 2 || c.Finished != 2 || c.Status != [5]uint64{1: 1} {
		t.Errorf("%+v", c)
	}
	if requests := f.view.Requests(); len(requests) != 0 {
		t.Errorf("the board has %+v", requests)
	}
}

func TestBeginDeadline(t *testing.T) {
	t.Parallel()
	f := idleFixture(t, inheritance{limits: timeouts{Timeout: allowed}})
	begin := time.Now()
	r := f.beginRequest("GET", "x")
	for range 10 {
		rest(allowed / 5)
		r.Progress()
	}
	await(t, r.Context().Done())
	requireTook(t, begin, 3*allowed)
	if cause := context.Cause(r.Context()); cause != http.ErrHandlerTimeout {
		t.Errorf("the cause is %v", cause)
	}
	requests := f.view.Requests()
	if len(requests) != 1 || requests[0].Flags != scoreboard.InUse|scoreboard.Ended {
		t.Errorf("the board has %+v", requests)
	}
	r.End(500)
	if c := f.view.Counters(); c.Timeouts != 1 || c.Status[4] != 1 || len(f.view.Requests()) != 0 {
		t.Errorf("%+v", c)
	}

	unasked := f.beginRequest("GET", "y")
	until(t, "its time is over", func() bool { return f.view.Counters().Timeouts == 2 })
	if cause := context.Cause(unasked.Context()); cause != http.ErrHandlerTimeout {
		t.Errorf("the cause is %v", cause)
	}
	unasked.End(500)
}

// TestMoreRequestsThanSlots times every one of them.
func TestMoreRequestsThanSlots(t *testing.T) {
	const n = scoreboard.MaxSlots + 60
	f := idleFixture(t, inheritance{limits: timeouts{Timeout: allowed}})
	var requests []*Request
	for range n {
		requests = append(requests, f.beginRequest("GET", "x"))
	}
	until(t, "all are ended", func() bool { return f.view.Counters().Timeouts == n })
	for _, r := range requests {
		r.End(500)
	}
	if c := f.view.Counters(); c.Unslotted != 60 || c.Finished != n {
		t.Errorf("%+v", c)
	}
	if h := f.view.Histogram(); h.Sum < n*allowed || h.Counts[0] != 0 {
		t.Errorf("durations %+v", h)
	}
}

// TestOverdueWithoutSlot has all slots taken by requests that get on when one more does
// not end: the master sees that.
func TestOverdueWithoutSlot(t *testing.T) {
	f := idleFixture(t, inheritance{limits: timeouts{Request: allowed}})
	f.limits = timeouts{}
	for range scoreboard.MaxSlots {
		defer f.beginRequest("GET", "/stream").End(200)
	}
	f.limits = timeouts{Request: allowed}
	begin := scoreboard.Monotonic()
	stuck := f.beginRequest("GET", "/stuck")
	await(t, stuck.Context().Done())
	until(t, "the master sees it", func() bool { return len(f.view.Requests()) > scoreboard.MaxSlots })
	r := f.view.Requests()[scoreboard.MaxSlots]
	if r.Path != "/stuck" || r.Flags != scoreboard.InUse|scoreboard.Ended || r.Start < begin || r.Progress != r.Start || r.Deadline != r.Start+int64(allowed) {
		t.Errorf("the board has %+v", r)
	}
	stuck.End(500)
	if n := len(f.view.Requests()); n != scoreboard.MaxSlots {
		t.Errorf("the board has %d requests after its end", n)
	}
}

func TestBeat(t *testing.T) {
	f := idleFixture(t, inheritance{watchdog: 20 * time.Millisecond})
	first := f.view.Counters().Beat
	begin := time.Now()
	until(t, "ten beats", func() bool { return f.view.Counters().Beat >= first+10 })
	if d := time.Since(begin); d < 80*time.Millisecond {
		t.Errorf("ten beats within %v", d)
	}
	still := idleFixture(t, inheritance{})
	if n := still.view.Counters().Beat; n != 0 {
		t.Errorf("%d beats that nobody wants", n)
	}
}

func BenchmarkBegin(b *testing.B) {
	f := idleFixture(b, inheritance{limits: timeouts{Timeout: time.Minute}})
	b.ReportAllocs()
	for b.Loop() {
		f.beginRequest("GET", "user:17").End(200)
	}
}
