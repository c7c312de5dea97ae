package fleet

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// signs are what a worker can show in any order, each of them or not.
var signs = map[string]Event{"header": Cooperates{1}, "word": SaidReady{ID: 1}, "waits": Waits{1}, "executed": Executed{1}}

// The order in which a worker shows that it runs, waits, has a header and is ready
// does not matter, nor does the second at which its age begins to count.
func TestOrderOfSigns(t *testing.T) {
	for _, mode := range []ReadyMode{ReadyAuto, ReadyNotify, ReadyAlive} {
		for shown := range 1 << len(signs) {
			var subset []string
			for i, name := range slices.Sorted(maps.Keys(signs)) {
				if shown&(1<<i) != 0 {
					subset = append(subset, name)
				}
			}
			want := ""
			for _, order := range permutations(subset) {
				for gap := range 1 << len(order) { // what takes more than a second to follow
					got := endOf(mode, order, gap)
					if want == "" {
						want = got
					}
					if got != want {
						t.Errorf("mode %d, %v with gaps %b: %s; another order: %s", mode, order, gap, got, want)
					}
				}
			}
		}
	}
}

// endOf is what the brain thinks in the end of a worker with these signs.
func endOf(mode ReadyMode, order []string, gaps int) string {
	now := time.Unix(1000, 0)
	f := New(1, Settings{
		Command: "app", Workers: 1, Surge: Surge{Count: 1}, Ready: mode, ReadyAfter: time.Second,
		StartupTimeout: time.Minute, ResetAfter: 10 * time.Second, StartupAttempts: 3,
	}, func() float64 { return 0.5 })
	step := func(after time.Duration, ev Event) { now = now.Add(after); f.Step(now, ev) }
	step(0, Tick{})
	for i, name := range order {
		step(time.Millisecond+time.Duration(gaps>>i&1)*1200*time.Millisecond, signs[name])
	}
	step(1500*time.Millisecond, Tick{})
	soon := fmt.Sprintf("%v cooperates=%t guessed=%t", f.workers[0].State, f.workers[0].cooperates, f.workers[0].guessed)
	plain := 0
	for due, ok := f.Deadline(); ok && due.Before(time.Unix(1200, 0)); due, ok = f.Deadline() {
		for _, a := range f.Step(due, Tick{}) {
			if _, is := a.(Plain); is {
				plain++
			}
		}
	}
	return fmt.Sprintf("%s, plain %d, ready after all %t", soon, plain, f.everReady)
}

// permutations are all orders of the words.
func permutations(words []string) [][]string {
	if len(words) < 2 {
		return [][]string{words}
	}
	var all [][]string
	for i, first := range words {
		rest := slices.Delete(slices.Clone(words), i, i+1)
		for _, p := range permutations(rest) {
			all = append(all, append([]string{first}, p...))
		}
	}
	return all
}

// Who says in one breath that it is ready and that it needs more time to start is ready:
// the oracle and the brain agree on when it is known to be a plain worker.
func TestReadyNeedsNoMoreTime(t *testing.T) {
	now := time.Unix(1000, 0)
	s := Settings{Command: "app", Workers: 1, ReadyAfter: time.Second, StartupTimeout: 10 * time.Second, ResetAfter: time.Second, StartupAttempts: 3}
	f, o := New(1, s, func() float64 { return 0.5 }), newOracle(1, s)
	plain := false
	for _, at := range []struct {
		after  time.Duration
		events []Event
	}{
		{0, []Event{Tick{}}},
		{time.Second, []Event{SaidReady{ID: 1}, Extend{1, time.Minute}}},
		{9 * time.Second, []Event{Tick{}}},
	} {
		now = now.Add(at.after)
		actions, broken := o.check(f, now, at.events...)
		if broken != "" {
			t.Errorf("%v: %s", at.events, broken)
		}
		plain = slices.Contains(actions, Action(Plain{1}))
	}
	if !plain {
		t.Error("more time to start was granted to a worker that is ready")
	}
}
