package fleet

import (
	"slices"
	"time"
)

// order says whether it matters in which order the signs of a worker, if a step is about
// nothing else, and the time arrive from which on it is old enough to be taken for ready.
// The time first, and then each sign in a step of its own, the last one first, have to
// mean the same as all the signs at once and then the time. Two brains that know what
// this one knows try it.
func (o *oracle) order(f *Fleet, now time.Time, events []Event) string {
	id := signOf(events[0])
	w := f.worker(id)
	if w == nil || len(events) == 1 && w.aliveAt.IsZero() || slices.ContainsFunc(events, func(ev Event) bool { return signOf(ev) != id }) {
		return ""
	}
	old := now
	if w.aliveAt.After(now) {
		old = w.aliveAt
	}
	if !w.due.After(old) {
		return "" // it was too late for a sign that came first
	}
	one, other := f.twin(), f.twin()
	one.Step(now, events...)
	one.pass(old)
	other.pass(old)
	for _, ev := range slices.Backward(events) {
		other.Step(old, ev)
	}
	if one.worker(id) == nil || other.worker(id) == nil {
		return ""
	}
	if is, was := one.worker(id).shown(), other.worker(id).shown(); is != was && is.state <= Ready && was.state <= Ready {
		return "the order of signs matters"
	}
	return ""
}

// pass lets time pass until then.
func (f *Fleet) pass(until time.Time) {
	for due, ok := f.Deadline(); ok && due.Before(until); due, ok = f.Deadline() {
		f.Step(due, Tick{})
	}
	f.Step(until, Tick{})
}

// signOf returns the worker of which the event is a sign that it is ready, or may be
// some day; 0: it is another event.
func signOf(ev Event) int {
	switch ev := ev.(type) {
	case Executed:
		return ev.ID
	case Waits:
		return ev.ID
	case Cooperates:
		return ev.ID
	case SaidReady:
		return ev.ID
	}
	return 0
}

// shown is what signs tell of a worker.
type shown struct {
	state               State
	cooperates, guessed bool
}

func (w *Worker) shown() shown { return shown{w.State, w.cooperates, w.guessed} }

// twin is a brain that knows what this one knows, and draws no random numbers.
func (f *Fleet) twin() *Fleet {
	twin := *f
	for _, r := range []**revision{&twin.current, &twin.fallback, &twin.candidate} {
		*r = copied(*r)
	}
	twin.workers, twin.slots = slices.Clone(f.workers), slices.Clone(f.slots)
	for i, w := range twin.workers {
		twin.workers[i] = copied(w)
	}
	twin.loaders = slices.Clone(f.loaders)
	for i, l := range twin.loaders {
		twin.loaders[i] = copied(l)
	}
	twin.remains = slices.Clone(f.remains)
	for i, one := range twin.remains {
		twin.remains[i] = copied(one)
	}
	twin.sizing.needed = slices.Clone(f.sizing.needed)
	for i, s := range twin.slots {
		twin.slots[i] = copied(s)
	}
	if err := twin.Resume(func() float64 { return 0.5 }); err != nil {
		panic(err)
	}
	return &twin
}

func copied[T any](from *T) *T {
	if from == nil {
		return nil
	}
	to := *from
	return &to
}
