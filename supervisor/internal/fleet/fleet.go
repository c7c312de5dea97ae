package fleet

import (
	"errors"
	"iter"
	"slices"
	"time"
)

// Fleet is the state of the brain. It belongs to one goroutine.
type Fleet struct {
	draw func() float64 `state:"-"` // uniform in [0,1), for the jitter of backoffs

	current   *revision `state:"current"`   // in force
	fallback  *revision `state:"fallback"`  // during a rollout: the last whose workers were all ready
	candidate *revision `state:"candidate"` // being tried by its canary

	workers     []*Worker   `state:"workers"` // alive, by id
	loaders     []*Loader   `state:"loaders"` // alive
	teams       [][]*Worker `state:"-"`       // the same by slot, which may be one that is no longer wanted
	remains     []*remains  `state:"remains"` // of workers that had a lease
	slots       []*slot     `state:"slots"`   // as many as current.target, and closed ones between them
	bench       slot        `state:"bench"`   // what befell the spares
	sizing      sizing      `state:"sizing"`  // why the number of workers is what it is
	overlap     overlap     `state:"overlap"` // how many there may be beyond that
	lastID      int         `state:"last_id"`
	generations int         `state:"generations"` // accepted so far
	backlog     backlog     `state:"backlog"`     // recyclings that wait for drains
	everReady   bool        `state:"ever_ready"`  // some worker was ready once
	up          bool        `state:"up"`

	stopAt        time.Time `state:"stop_at"`         // when a stop that was asked for begins; zero: none waits
	stopping      bool      `state:"stopping"`        // it began
	quick         bool      `state:"quick"`           // nobody is asked for stacks any more
	stopBy        time.Time `state:"stop_by"`         // and the common grace is over then
	gaveUp        int       `state:"gave_up"`         // id of the worker because of which the brain gave up
	gaveUpLoading bool      `state:"gave_up_loading"` // it gave up because of loaders
	halted        bool      `state:"halted"`

	failedAt time.Time `state:"failed_at"` // when a worker was replaced last for its failures
	outage   bool      `state:"outage"`    // it was said that nobody is replaced for failures

	now       time.Time `state:"now"`
	lateAt    time.Time `state:"late_at"`    // the last step that came too long after it was due
	lateSince time.Time `state:"late_since"` // the first of those between which there was no time to make up for them; zero: there was
	moved     bool      `state:"-"`          // the last step was about more than time
	hurry     bool      `state:"-"`          // nobody lingers in this step
	late      bool      `state:"-"`          // this step comes too long after it was due, for which nobody is punished
	actions   []Action  `state:"-"`
	wanted    []Load    `state:"-"` // loaders for want of which the last step could not spawn
}

// New returns a fleet that has no workers yet; the first Step spawns them.
// The first revision counts as accepted: it is generation 1. draw returns
// uniform numbers in [0,1).
func New(number int, s Settings, draw func() float64) *Fleet {
	f := &Fleet{draw: draw, generations: 1}
	f.current = &revision{Settings: s, number: number, generation: 1, floor: s.Workers, target: s.Workers, canarySlot: -1}
	f.fitSlots(ReasonStart)
	return f
}

// Resume makes a brain of what another wrote down. It takes part in time again with
// its next step. An error means that it was not one of a brain; other mistakes in it
// are repaired by the steps to come.
func (f *Fleet) Resume(draw func() float64) error {
	if f.current == nil {
		return errors.New("no revision of the fleet is in force")
	}
	slices.SortFunc(f.workers, func(a, b *Worker) int { return a.ID - b.ID })
	f.draw, f.teams = draw, nil
	for _, r := range []*revision{f.current, f.fallback} {
		if r == nil {
			continue
		}
		if !r.elastic() {
			r.floor = r.target // of which versions before said nothing
		}
		if r.scaled(r.scale) != r.floor {
			r.scale = r.floor - r.Workers // nor of this
		}
	}
	for _, w := range f.workers {
		f.assign(w)
		if w.told && w.State == Draining && w.Until.IsZero() {
			w.Until = w.due // as versions left it unsaid that did not keep it here
		}
		if w.State == Draining && w.bound.IsZero() {
			w.bound = w.due // to versions before, the end of a drain came only nearer
		}
		if w.killed {
			w.State, w.killed = Killed, false
		}
		if w.State == Killed && w.due.IsZero() && !f.stopping && !f.now.IsZero() {
			w.due = f.now.Add(UnkillableAfter) // as versions left it unsaid that did not wait for it
		}
	}
	f.fitSlots(ReasonStart)
	return nil
}

// Step records the events, in their order, and returns what is to be done now.
// Time must not go backwards from one step to the next. After Halt it does
// nothing. A step takes time in proportion to the workers, however many events it
// is given, so what happened together is best told together.
func (f *Fleet) Step(now time.Time, events ...Event) []Action {
	if f.halted {
		return nil
	}
	f.late = f.excused(now, events)
	before := f.now
	f.now, f.actions, f.wanted = now, nil, f.wanted[:0]
	f.overlap.wanted, f.overlap.waits = false, false
	f.credit(before)
	for _, ev := range events {
		f.record(ev)
	}
	f.abortHung()
	f.escalate()
	f.judge()
	f.grant()
	f.retire()
	f.spawn()
	f.conclude()
	f.leaveOff()
	f.settleDown()
	f.unload()
	f.load()
	f.halt()
	f.moved = len(f.actions) > 0 || slices.ContainsFunc(events, moves)
	return f.actions
}

// moves says whether an event may change what a worker is without anything having to
// be done.
func moves(ev Event) bool {
	switch ev.(type) {
	case Tick, Looked, Demand:
		return false
	}
	return true
}

// Moved says whether the last step may have changed what others have to know of the
// workers: whether they are watched, and cooperate. That time passes does not.
func (f *Fleet) Moved() bool { return f.moved }

// conclude notices what is complete: the first start, a rollout.
func (f *Fleet) conclude() {
	if f.Stopping() {
		return
	}
	for i := range f.open() {
		if !slices.ContainsFunc(f.teams[i], func(w *Worker) bool { return w.State == Ready && f.own(w) }) && !f.bereft(i) {
			return
		}
	}
	if !f.up {
		f.up = true
		f.do(Up{})
	}
	if f.fallback != nil && f.candidate == nil {
		f.fallback = nil
		f.endReload(f.current, Done, 0)
		f.spawnSpares(f.survey())
	}
}

// Workers yields a copy of each living worker, by id. There is no step meanwhile.
func (f *Fleet) Workers() iter.Seq[Worker] {
	return func(yield func(Worker) bool) {
		for _, w := range f.workers {
			if !yield(*w) {
				return
			}
		}
	}
}

// Alive returns how many workers there are.
func (f *Fleet) Alive() int { return len(f.workers) }

// Worker returns a copy of the living worker with the id; false: there is none.
func (f *Fleet) Worker(id int) (w Worker, alive bool) {
	if found := f.worker(id); found != nil {
		return *found, true
	}
	return Worker{}, false
}

// Target returns how many workers are asked for.
func (f *Fleet) Target() int { return f.current.target }

// FloorWith returns how many workers will be asked for at least when these settings are
// accepted: what an operator scaled to is kept unless the configured number changed,
// as far as there can be as many.
func (f *Fleet) FloorWith(s Settings) int {
	return s.scaled(f.scaleWith(s))
}

// scaleWith returns how many more workers than configured an operator wants when these
// settings are accepted.
func (f *Fleet) scaleWith(s Settings) int {
	if s.Workers == f.current.Workers {
		return f.current.scale
	}
	return 0
}

// Bounded returns so many workers, or as many as there can be at least or at most.
func (f *Fleet) Bounded(workers int) int {
	return f.current.scaled(workers - f.current.Workers)
}

// Revision returns the revision in force and its generation.
func (f *Fleet) Revision() (number, generation int) { return f.current.number, f.current.generation }

// Revisions returns the numbers of all revisions that a worker may still be
// spawned with or lives with, or a loader.
func (f *Fleet) Revisions() map[int]bool {
	in := map[int]bool{}
	for _, r := range []*revision{f.current, f.fallback, f.candidate} {
		if r != nil {
			in[r.number] = true
		}
	}
	for _, w := range f.workers {
		in[w.Revision] = true
	}
	for _, l := range f.loaders {
		in[l.Revision] = true
	}
	return in
}

// Reloading says whether a reload is under way.
func (f *Fleet) Reloading() bool {
	return !f.stopping && (f.candidate != nil || f.fallback != nil)
}

// EverReady says whether some worker was ready once.
func (f *Fleet) EverReady() bool { return f.everReady }

// Up says whether every slot had a ready worker once.
func (f *Fleet) Up() bool { return f.up }

// Halted says whether there is nothing left to do.
func (f *Fleet) Halted() bool { return f.halted }

// Culprit returns the worker because of which the brain gave up, once it has halted;
// 0: a stop was asked for.
func (f *Fleet) Culprit() int {
	if !f.halted {
		return 0
	}
	return f.gaveUp
}

// LoaderFailed says whether the brain has halted because of loaders that did not become
// ready.
func (f *Fleet) LoaderFailed() bool { return f.halted && f.gaveUpLoading }

// Stopping says whether the fleet was told to stop or gave up. It may still
// serve, for the delay of a stop.
func (f *Fleet) Stopping() bool { return f.stopping || !f.stopAt.IsZero() }

// Closed says whether the fleet takes no new connections any more: it is
// stopping, and the delay of the stop is over.
func (f *Fleet) Closed() bool { return f.stopping }

// do adds an action to the answer of this step.
func (f *Fleet) do(a Action) { f.actions = append(f.actions, a) }

// worker returns the living worker with the id, or nil.
func (f *Fleet) worker(id int) *Worker {
	i, found := slices.BinarySearchFunc(f.workers, id, func(w *Worker, id int) int { return w.ID - id })
	if !found {
		return nil
	}
	return f.workers[i]
}

// join adds a worker to the fleet, and part removes it.
func (f *Fleet) join(w *Worker) {
	f.workers = append(f.workers, w)
	f.assign(w)
}

// assign makes a worker one of its slot's. A spare has none.
func (f *Fleet) assign(w *Worker) {
	if w.Spare() {
		return
	}
	for len(f.teams) <= w.Slot {
		f.teams = append(f.teams, nil)
	}
	team := f.teams[w.Slot]
	at := len(team)
	for at > 0 && team[at-1].ID > w.ID { // a spare may be older than those that it comes to
		at--
	}
	f.teams[w.Slot] = slices.Insert(team, at, w)
}

func (f *Fleet) part(w *Worker) {
	is := func(x *Worker) bool { return x == w }
	f.workers = slices.DeleteFunc(f.workers, is)
	if !w.Spare() {
		f.teams[w.Slot] = slices.DeleteFunc(f.teams[w.Slot], is)
	}
}

// resetSlots forgets the crashes of all slots: another revision is in force.
func (f *Fleet) resetSlots(why Reason) {
	for _, s := range f.slots {
		*s = slot{why: s.why, wished: s.wished, lease: s.lease, closed: s.closed}
	}
	f.bench = slot{wished: f.bench.wished}
	f.fitSlots(why)
}

// own says whether the worker belongs to the revision in force.
func (f *Fleet) own(w *Worker) bool { return w.Revision == f.current.number }

// count returns how many workers satisfy the condition.
func (f *Fleet) count(is func(*Worker) bool) (n int) {
	for _, w := range f.workers {
		if is(w) {
			n++
		}
	}
	return n
}
