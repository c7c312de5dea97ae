package fleet

import (
	"fmt"
	"testing"
	"time"
)

// sizes are the fleets of the benchmarks; the last is the largest that a
// configuration may ask for.
var sizes = []int{10, 100, 1000, 10_000}

// bench is a fleet of workers that do as they are told, for benchmarks.
type bench struct {
	*Fleet
	now time.Time
}

// launch starts a fleet whose workers are being spawned.
func launch(n int) *bench {
	s := baseSettings()
	s.Workers, s.Surge = n, Surge{Percent: 10}
	b := &bench{Fleet: New(1, s, func() float64 { return 0.5 }), now: time.Unix(0, 0)}
	b.step(Tick{})
	return b
}

// serve starts a fleet whose workers are all ready.
func serve(n int) *bench {
	b := launch(n)
	b.step(allReady(n)...)
	return b
}

func allReady(n int) (all []Event) {
	for id := 1; id <= n; id++ {
		all = append(all, SaidReady{ID: id})
	}
	return all
}

// step lets a millisecond pass.
func (b *bench) step(events ...Event) []Action {
	b.now = b.now.Add(time.Millisecond)
	return b.Step(b.now, events...)
}

// obey has whoever is spawned become ready and whoever is retired end, until
// nothing follows any more.
func (b *bench) obey(actions []Action) {
	for len(actions) > 0 {
		a := actions[0]
		actions = actions[1:]
		switch a := a.(type) {
		case Spawn:
			actions = append(actions, b.step(SaidReady{ID: a.Worker.ID})...)
		case Retire:
			actions = append(actions, b.step(Exited{a.ID})...)
		}
	}
}

func eachSize(b *testing.B, run func(b *testing.B, n int)) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) { run(b, n) })
	}
}

// A step in which nothing is to be done.
func BenchmarkSteady(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		f := serve(n)
		for b.Loop() {
			f.step(Tick{})
		}
	})
}

// A step while a tenth of the workers have successors that are starting, and the
// others wait for their turn.
func BenchmarkReload(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		f := serve(n)
		spawned := f.step(Reload{2, f.current.Settings})
		f.step(SaidReady{ID: spawned[0].(Spawn).Worker.ID})
		for b.Loop() {
			f.step(Tick{})
		}
	})
}

// The step that spawns all workers.
func BenchmarkStart(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		for b.Loop() {
			launch(n)
		}
	})
}

// A step takes no longer for each of many workers than for each of a few, even
// while all of them wait for their turn in a reload.
func TestStepIsLinear(t *testing.T) {
	step := func(n int) time.Duration {
		f := serve(n)
		spawned := f.step(Reload{2, f.current.Settings})
		f.step(SaidReady{ID: spawned[0].(Spawn).Worker.ID})
		least := time.Hour
		for range 20 {
			begin := time.Now()
			f.step(Tick{})
			least = min(least, time.Since(begin))
		}
		return least
	}
	few, many := step(500), step(4000)
	if many > 32*few { // 8 times as many; with their square it would be 64
		t.Errorf("a step takes %v with 500 workers and %v with 4000", few, many)
	}
}

// What one step spawns, whether of many workers or of few, is what many steps would.
func TestWholeFleetInOneStep(t *testing.T) {
	const n = 1000
	b := launch(n)
	if got := b.Alive(); got != n {
		t.Fatalf("%d workers alive after the first step, want %d", got, n)
	}
	actions := b.step(allReady(n)...)
	if last, ok := actions[len(actions)-1].(Up); len(actions) != n+1 || !ok {
		t.Errorf("%d actions when all become ready at once, the last %T%v; want %d of them and Up", len(actions), last, last, n)
	}
	settings := b.current.Settings
	settings.Surge = Surge{Percent: 100}
	b.obey(b.step(Reload{2, settings}))
	if number, _ := b.Revision(); number != 2 || b.Reloading() || b.Alive() != n {
		t.Errorf("revision %d, reloading %v, %d workers after a reload, want 2, false, %d", number, b.Reloading(), b.Alive(), n)
	}
}

// A worker that becomes ready just as its slot is closed leaves its lease to whoever needs
// one: nobody comes after it who would get it back.
func TestClosedSlotKeepsNoLease(t *testing.T) {
	s := baseSettings()
	s.Workers, s.WorkersMax, s.InFlight, s.IdleTimeout = 1, 3, 1, time.Second
	s.Leases = []Lease{{"gpu": "0"}, {"gpu": "1"}, {"gpu": "2"}}
	b := &bench{Fleet: New(1, s, func() float64 { return 0.5 }), now: time.Unix(0, 0)}
	b.step(Tick{})
	b.step(SaidReady{ID: 1})
	b.step(Demand{InFlight: []InFlight{{1, 1}}, Waiting: 1})
	b.now = b.now.Add(Doubling)
	b.step(Demand{InFlight: []InFlight{{1, 1}}, Waiting: 2})
	b.step(SaidReady{ID: 3})
	b.now = b.now.Add(2 * s.IdleTimeout)
	b.step(Demand{InFlight: []InFlight{{1, 1}, {3, 1}}}, SaidReady{ID: 2})
	b.step(Exited{2}, Cleared{2})
	actions := b.step(Recycle{ID: 1, Reason: ReasonRecycle})
	if _, is := actions[0].(Spawn); len(actions) != 1 || !is {
		t.Errorf("while a lease is free a recycling does %v", actions)
	}
}
