package fleet

import (
	"testing"
	"time"
)

// TestRecyclingTakesTurns: a slot whose worker is to be replaced as soon as it is ready
// keeps nobody else from it for longer than a round of all slots.
func TestRecyclingTakesTurns(t *testing.T) {
	f := newFour()
	step := func(events ...Event) []Action {
		f.now = f.now.Add(time.Second)
		return f.Step(f.now, events...)
	}
	var actions []Action
	for id := 1; id <= 4; id++ {
		actions = append(actions, step(Recycle{ID: id, Reason: "max_requests"})...)
	}
	replaced := map[int]int{}
	for spawned := 0; spawned < 12; {
		if len(actions) == 0 {
			t.Fatalf("nobody is replaced any more; so far %v", replaced)
		}
		next := actions[0]
		actions = actions[1:]
		switch a := next.(type) {
		case Spawn:
			spawned++
			replaced[a.Worker.Slot]++
			actions = append(actions, step(Cooperates{a.Worker.ID}, SaidReady{ID: a.Worker.ID}, Recycle{a.Worker.ID, "max_requests"})...)
			var looked Looked // at the one that it takes the place of, which has no streams
			for w := range f.Workers() {
				looked.Sights = append(looked.Sights, Sight{ID: w.ID})
			}
			actions = append(actions, step(looked)...)
		case Retire:
			actions = append(actions, step(Exited{a.ID}, Cleared{a.ID})...)
		}
	}
	for slot := range 4 {
		if replaced[slot] != 3 {
			t.Fatalf("replaced %v, want each slot 3 times", replaced)
		}
	}
}
