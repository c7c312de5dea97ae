package limit

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// forever is a limit that is not reached.
const forever = 60 * time.Second

// long is a limit twice of which has passed since the machine was started.
const long = 20 * time.Second

// recorder is an Ender that tells what it is told.
type recorder struct {
	by        chan Phase
	accounted chan struct{}
}

func newRecorder() recorder { return recorder{make(chan Phase, 10), make(chan struct{}, 10)} }

func (r recorder) End(by Phase) func() { r.by <- by; return nil }
func (r recorder) Account()            { r.accounted <- struct{}{} }

// TestExpiry ends requests in each phase.
func TestExpiry(t *testing.T) {
	const short = 20 * time.Millisecond
	tests := []struct {
		name   string
		limits scoreboard.Limits
		to     Phase
		by     Phase
	}{
		{"nothing known", scoreboard.Limits{Timeout: short}, Waiting, Answered},
		{"header given", scoreboard.Limits{Timeout: short}, Committed, Answered},
		{"streaming", scoreboard.Limits{Timeout: forever, Stream: short}, Streaming, Cut},
		{"upgraded", scoreboard.Limits{Timeout: forever, Upgrade: short}, Upgraded, Cut},
		{"in all", scoreboard.Limits{Timeout: forever, Stream: forever, Request: short}, Streaming, Cut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			board, overtime, r := scoreboard.Unshared(), new(atomic.Int64), newRecorder()
			var w Watch
			w.Init(&tt.limits, board, overtime, Committed)
			begin := scoreboard.Monotonic()
			w.Begin(r, "GET", "/", "")
			if !w.Advance(tt.to) {
				t.Fatal("ended before its time")
			}
			if by := <-r.by; by != tt.by {
				t.Errorf("ended by %d, want %d", by, tt.by)
			}
			if d := scoreboard.Monotonic() - begin; d < int64(short) {
				t.Errorf("ended after %v", time.Duration(d))
			}
			<-r.accounted
			w.Wait()
			if overtime.Load() != 1 {
				t.Errorf("%d overtime", overtime.Load())
			}
			if w.Advance(Upgraded) {
				t.Error("goes on")
			}
			w.Release()
			if w.Conclude() || overtime.Load() != 0 {
				t.Errorf("accounted for twice, or %d overtime behind a handler that has returned", overtime.Load())
			}
			w.Over()
			if !w.Phase().Ended() {
				t.Error("not ended for good")
			}
		})
	}
}

// TestConcluded has a request end by itself: it is accounted for by who asks first, and
// what its connection does afterwards has limits still.
func TestConcluded(t *testing.T) {
	limits := scoreboard.Limits{Stream: 20 * time.Millisecond}
	board, overtime, r := scoreboard.Unshared(), new(atomic.Int64), newRecorder()
	var w Watch
	w.Init(&limits, board, overtime, Committed)
	w.Begin(r, "GET", "/", "")
	if !w.Conclude() {
		t.Error("not accounted for")
	}
	w.Release()
	w.Advance(Streaming)
	if w.First() == 0 {
		t.Error("the response has not begun")
	}
	if by := <-r.by; by != Cut {
		t.Errorf("ended by %d", by)
	}
	w.Wait()
	if len(r.accounted) != 0 || overtime.Load() != 0 {
		t.Error("accounted for again")
	}
}

// TestProgress keeps a request alive for many times its limit.
func TestProgress(t *testing.T) {
	limits := scoreboard.Limits{Timeout: long}
	r := newRecorder()
	var w Watch
	w.Init(&limits, scoreboard.Unshared(), new(atomic.Int64), Committed)
	w.Begin(r, "GET", "/", "")
	for range 10 {
		w.TouchAt(w.Progress() + int64(long) - 1)
		w.fire(scoreboard.Monotonic())
	}
	if !w.Phase().Running() || len(r.by) != 0 {
		t.Error("ended")
	}
	// Nothing for longer than the limit, and the client has taken what was written earlier.
	w.TouchAt(scoreboard.Monotonic() - int64(2*long))
	w.Delivered(scoreboard.Monotonic)
	w.fire(scoreboard.Monotonic())
	if !w.Phase().Running() {
		t.Error("ended although the client takes what it is sent")
	}
	w.Delivered(nil)
	for w.Phase().Running() { // what this process does not run for is forgiven
		w.TouchAt(scoreboard.Monotonic() - int64(2*long))
		w.fire(scoreboard.Monotonic())
	}
	if by := <-r.by; by != Answered {
		t.Errorf("ended by %d", by)
	}
	w.Stop()
}

// TestLateAlarm has alarms go off late: the request is given what the process lost of its
// time, and no more.
func TestLateAlarm(t *testing.T) {
	const limit = long
	tests := []struct {
		name         string
		silent, late time.Duration // for so long when the alarm goes off
		least, most  time.Duration // that is given
	}{
		{"on time", limit, 0, 0, 0},
		{"a busy machine", limit, protocol.Lateness / 2, 0, 0},
		{"a pulse before the end", limit + 40*time.Millisecond, foresight + 40*time.Millisecond, foresight, foresight + 2*pulse},
		{"at the end", limit + 900*time.Millisecond, 900 * time.Millisecond, 900 * time.Millisecond, 900*time.Millisecond + pulse},
		{"progress meanwhile", 50 * time.Millisecond, 900 * time.Millisecond, 50 * time.Millisecond, 50 * time.Millisecond},
		{"stopped", 2 * limit, 2 * protocol.OverdueGrace, 2 * limit, 2 * limit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			limits := scoreboard.Limits{Timeout: limit}
			board, r := scoreboard.Unshared(), newRecorder()
			var w Watch
			w.Init(&limits, board, new(atomic.Int64), Committed)
			w.Begin(r, "GET", "/", "")
			defer w.Stop()
			now := scoreboard.Monotonic()
			last := now - int64(tt.silent)
			w.TouchAt(last)
			w.fire(now - int64(tt.late))
			passed := time.Duration(scoreboard.Monotonic() - now)
			given := time.Duration(w.Progress() - last)
			if given < tt.least || given > tt.most && given > tt.most+passed {
				t.Errorf("given %v, want %v to %v", given, tt.least, tt.most)
			}
			if running := tt.silent-given < limit; w.Phase().Running() != running {
				t.Errorf("running: %v, want %v", w.Phase().Running(), running)
			}
			w.Expire()
			last = w.Progress()
			if w.fire(last); w.Progress() != last {
				t.Error("one that was ended is given time")
			}
		})
	}
}
