package fleet

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"
)

// rollout is a fleet of 64 workers that is replaced one by one, which takes an hour:
// a boot takes 50 seconds.
type rollout struct {
	*bench
	queue timeline
	boots int // of the new revision
	end   *EndReload
}

// fate is what becomes of a worker of the new revision.
type fate int

const (
	stays fate = iota
	crashesSoon
	doesNotBoot
)

// play rolls a revision out. What becomes of its n-th boot, from 1, in a slot,
// is as told.
func (r *rollout) play(fates func(n, slot int) fate) {
	r.bench = serve(64)
	settings := r.current.Settings
	settings.Surge = Surge{Count: 1}
	r.perform(r.step(Reload{2, settings}), fates)
	for r.end == nil && r.boots < 500 {
		due, ok := r.Deadline()
		if len(r.queue) > 0 && (!ok || r.queue[0].at.Before(due)) {
			e := heap.Pop(&r.queue).(entry)
			r.now = e.at
			r.perform(r.step(e.ev), fates)
		} else {
			r.now = due
			r.perform(r.step(Tick{}), fates)
		}
	}
}

func (r *rollout) perform(actions []Action, fates func(n, slot int) fate) {
	after := func(d time.Duration, ev Event) { heap.Push(&r.queue, entry{at: r.now.Add(d), ev: ev}) }
	for _, a := range actions {
		switch a := a.(type) {
		case Spawn:
			const boot = 50 * time.Second // below startup_timeout
			id, will := a.Worker.ID, stays
			if a.Worker.Revision == 2 {
				r.boots++
				will = fates(r.boots, a.Worker.Slot)
			}
			switch will {
			case doesNotBoot:
				after(boot, Exited{id})
			case crashesSoon:
				after(boot+time.Second, Exited{id})
				fallthrough
			default:
				after(boot, SaidReady{ID: id})
			}
		case Retire:
			after(time.Second, Exited{a.ID})
		case EndReload:
			r.end = &a
		}
	}
}

// A rollout ends as an operator would want it to.
func TestRollouts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct {
		name  string
		fates func(n, slot int) fate
		want  Result
		boots int // at most
	}{
		{"all is well", func(int, int) fate { return stays }, Done, 64},
		{"three crashes that have nothing to do with each other", func(n, _ int) fate {
			if n == 10 || n == 25 || n == 47 {
				return crashesSoon
			}
			return stays
		}, Done, 67},
		{"three boots fail that have nothing to do with each other", func(n, _ int) fate {
			if n == 10 || n == 25 || n == 47 {
				return doesNotBoot
			}
			return stays
		}, Done, 67},
		{"nobody boots but the canary", func(n, _ int) fate {
			if n > 1 {
				return doesNotBoot
			}
			return stays
		}, RolledBack, 4},
		{"everybody crashes", func(int, int) fate { return crashesSoon }, RolledBack, 4},
		{"one in two crashes", func(int, int) fate { return fate(random.IntN(2)) }, RolledBack, 64},
		{"one slot does not boot", func(_, slot int) fate {
			if slot == 20 {
				return doesNotBoot
			}
			return stays
		}, RolledBack, 40},
		{"one slot crashes", func(_, slot int) fate {
			if slot == 20 {
				return crashesSoon
			}
			return stays
		}, RolledBack, 40},
	} {
		t.Run(test.name, func(t *testing.T) {
			var r rollout
			r.play(test.fates)
			if r.end == nil || r.end.Result != test.want || r.boots > test.boots {
				t.Fatalf("after %d boots: %+v, want %v after at most %d", r.boots, r.end, test.want, test.boots)
			}
			if r.end.Result == RolledBack && r.end.Culprit == 0 {
				t.Error("nobody is to blame for it")
			}
		})
	}
}
