package fleet

import (
	"slices"
	"testing"
	"time"
)

// A crash loop is over when a worker has lasted, also if nothing has happened since;
// where crashes are never forgiven, when one is ready.
func TestCrashLoopEnds(t *testing.T) {
	for _, test := range []struct {
		name       string
		resetAfter time.Duration
		atOnce     Condition // when a worker is ready
	}{
		{"forgiven", 10 * time.Second, ConditionCrashLoop},
		{"never forgiven", 0, ConditionReady},
	} {
		now := time.Unix(1_000_000, 0)
		f := New(1, Settings{
			Workers: 1, Surge: Surge{Count: 1}, Ready: ReadyNotify, StartupTimeout: time.Minute,
			BackoffMin: time.Second, BackoffMax: time.Second, ResetAfter: test.resetAfter, StartupAttempts: 3,
		}, func() float64 { return 0 })
		f.Step(now, Tick{})
		for id := 1; id <= 2; id++ {
			f.Step(now, SaidReady{ID: id})
			f.Step(now, Exited{id})
		}
		sum := f.Summary(now)
		if sum.Condition != ConditionCrashLoop || sum.Crashes != 2 || len(sum.Looping) != 1 || !sum.Next.Equal(now.Add(500*time.Millisecond)) {
			t.Errorf("%s: after two crashes %+v", test.name, sum)
		}
		now = now.Add(time.Second)
		f.Step(now, Tick{})
		f.Step(now, SaidReady{ID: 3})
		if sum := f.Summary(now); sum.Condition != test.atOnce || sum.Ready != 1 || !sum.Next.IsZero() {
			t.Errorf("%s: with a ready worker %+v", test.name, sum)
		}
		if sum := f.Summary(now.Add(10 * time.Second)); sum.Condition != ConditionReady {
			t.Errorf("%s: later %+v", test.name, sum)
		}
	}
}

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
