//go:build linux

package main

import (
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
)

// workerIn is one in a slot, in a state.
func workerIn(id, slot int, state string) control.Worker {
	return control.Worker{ID: id, Slot: slot, State: state}
}

// look is what a judgement says of a fleet.
type look struct {
	workers []control.Worker
	failing []control.Failing
	target  int
	shown   string
	done    bool
	failed  bool
}

func judge(t *testing.T, judgement judgement, looks []look) {
	t.Helper()
	for i, l := range looks {
		shown, done, err := judgement(control.Status{Workers: l.workers, Failing: l.failing, WorkersTarget: l.target})
		if shown != l.shown || done != l.done || (err != nil) != l.failed {
			t.Errorf("look %d: %q, done %t, %v", i, shown, done, err)
		}
	}
}

func TestScaled(t *testing.T) {
	one, two := workerIn(1, 0, "ready"), workerIn(2, 1, "ready")
	judge(t, scaled(2), []look{
		{workers: []control.Worker{one}, target: 2, shown: "1 of 2 workers ready"},
		{workers: []control.Worker{one, workerIn(2, 1, "starting")}, target: 2, shown: "1 of 2 workers ready"},
		{workers: []control.Worker{one, workerIn(3, 0, "ready")}, target: 2, shown: "1 of 2 workers ready"}, // of one slot
		{workers: []control.Worker{one, two, workerIn(3, 2, "ready")}, target: 2, shown: "2 of 2 workers ready"},
		{workers: []control.Worker{one, two, workerIn(3, 2, "draining")}, target: 2, shown: "2 of 2 workers ready", done: true},
		{workers: []control.Worker{one}, target: 1, shown: "1 of 2 workers ready", failed: true},
	})
}

// What failed before is no news, nor is what boots again.
func TestScaledFails(t *testing.T) {
	one := []control.Worker{workerIn(1, 0, "ready")}
	failing := func(boots int) []control.Failing { return []control.Failing{{Slot: 1, Boots: boots}} }
	const shown = "1 of 2 workers ready"
	judge(t, scaled(2), []look{
		{workers: one, failing: failing(5), target: 2, shown: shown},
		{workers: one, failing: failing(5), target: 2, shown: shown},
		{workers: one, failing: failing(6), target: 2, shown: shown, failed: true},
	})
	judge(t, scaled(2), []look{
		{workers: one, failing: failing(5), target: 2, shown: shown},
		{workers: one, target: 2, shown: shown},
		{workers: one, failing: failing(3), target: 2, shown: shown, failed: true},
	})
}

func TestReplaced(t *testing.T) {
	one, two := workerIn(1, 0, "ready"), workerIn(2, 1, "ready")
	gone, next := workerIn(1, 0, "draining"), workerIn(3, 0, "ready")
	judge(t, replaced([]int{1, 2}), []look{
		{workers: []control.Worker{one, two}, target: 2, shown: "0 of 2 replaced"},
		{workers: []control.Worker{one, two, workerIn(3, 0, "starting")}, target: 2, shown: "0 of 2 replaced"},
		{workers: []control.Worker{gone, two, workerIn(3, 0, "starting")}, target: 2, shown: "0 of 2 replaced"}, // without surge
		{workers: []control.Worker{gone, two, next}, target: 2, shown: "1 of 2 replaced"},
		{workers: []control.Worker{two, next}, failing: []control.Failing{{Slot: 0, Boots: 3}}, target: 2, shown: "1 of 2 replaced"}, // of another
		{workers: []control.Worker{two, next}, failing: []control.Failing{{Slot: 1, Boots: 3}}, target: 2, shown: "1 of 2 replaced", failed: true},
		{workers: []control.Worker{next}, target: 1, shown: "2 of 2 replaced", done: true}, // its slot is not wanted any more
		{workers: []control.Worker{next, workerIn(4, 1, "ready")}, target: 2, shown: "2 of 2 replaced", done: true},
	})
}
