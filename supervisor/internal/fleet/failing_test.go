package fleet

import (
	"testing"
	"time"
)

// four is a fleet of four ready workers that fail, or not, and what looks at them make of
// it.
type four struct {
	*Fleet
	now                time.Time
	failing, succeeded map[int]time.Time
}

func newFour() *four {
	f := &four{now: time.Unix(1000, 0), failing: map[int]time.Time{}, succeeded: map[int]time.Time{}}
	f.Fleet = New(1, Settings{Workers: 4, Surge: Surge{Count: 1}, StartupTimeout: time.Minute, DrainTimeout: time.Minute, BackoffMax: 30 * time.Second, StartupAttempts: 3}, func() float64 { return 0 })
	f.Step(f.now)
	for id := 1; id <= 4; id++ {
		f.Step(f.now, Cooperates{id}, SaidReady{ID: id})
	}
	return f
}

// look is a second later.
func (f *four) look() (actions []Action) {
	f.now = f.now.Add(time.Second)
	var seen Looked
	for w := range f.Workers() {
		seen.Sights = append(seen.Sights, Sight{ID: w.ID, Failing: f.failing[w.ID], Succeeded: f.succeeded[w.ID]})
	}
	return f.Step(f.now, seen)
}

// started counts the workers that are started.
func started(actions []Action) (n int) {
	for _, a := range actions {
		if _, is := a.(Spawn); is {
			n++
		}
	}
	return n
}

// TestOutageRestartsNobody: what all suffer from is said once, and nobody is replaced for
// it, however long it takes and whoever has noticed it first.
func TestOutageRestartsNobody(t *testing.T) {
	f := newFour()
	for id := 1; id <= 4; id++ {
		f.succeeded[id] = f.now
	}
	begin, said := f.now, 0
	for range 30 {
		for id := 1; id <= 4; id++ {
			if f.now.Sub(begin) >= time.Duration(id-1)*500*time.Millisecond {
				f.failing[id] = begin.Add(time.Duration(id) * time.Millisecond)
			}
		}
		actions := f.look()
		if started(actions) > 0 {
			t.Fatalf("after %v: %s", f.now.Sub(begin), describe(actions))
		}
		for _, a := range actions {
			if _, is := a.(FoundOutage); is {
				said++
			}
		}
	}
	if said != 1 {
		t.Errorf("it was said %d times", said)
	}
	// One that goes on failing when the others are well again is replaced.
	clear(f.failing)
	f.look()
	f.failing[3] = begin
	for id := range f.succeeded {
		f.succeeded[id] = f.now
	}
	if actions := f.look(); started(actions) != 1 {
		t.Errorf("the one that still fails: %s", describe(actions))
	}
}

// TestOneFailureAtATime: a second worker that fails is replaced when backoff_max is over.
func TestOneFailureAtATime(t *testing.T) {
	f := newFour()
	f.failing[1], f.failing[2] = f.now, f.now
	f.succeeded[3], f.succeeded[4] = f.now.Add(time.Second), f.now.Add(time.Second)
	var at []time.Duration
	begin := f.now
	for range 40 {
		if actions := f.look(); started(actions) > 0 {
			at = append(at, f.now.Sub(begin))
			f.Step(f.now, Cooperates{f.lastID}, SaidReady{ID: f.lastID}, Exited{len(at)})
		}
	}
	if len(at) != 2 || at[0] != time.Second || at[1] != 31*time.Second {
		t.Errorf("they were replaced after %v", at)
	}
}
