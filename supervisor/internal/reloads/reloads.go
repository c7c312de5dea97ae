//go:build linux

// Package reloads keeps account of the reloads of a master, and prepares them: which is
// being prepared, which is under way, how the last one ended, and who waits for which.
//
// A reload begins with a [Preparation], which may take long, or for ever, as it waits
// for file servers and name servers: a goroutine does it (prepare.go). Of several the newest alone
// counts, and takes over who waits for the one before it. When it is over the reload
// has a revision, under which it ends, or is superseded by that of another.
package reloads

import (
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// Most is how many preparations may be under way. One more begins when one of them
// comes back.
const Most = 4

// TurnTime is how long a preparation waits for its turn, which the one before it
// normally has for no longer than looking up a few names in vain takes. After it that
// one is taken for one that will not come back.
const TurnTime = 30 * time.Second

// Stopped is how a reload ends that the stop of the master has come before.
func Stopped() control.Reload {
	return control.Reload{Result: control.RolledBack, Error: "the master was told to stop before the reload was done"}
}

// A Waiter is somebody who asked for a reload.
type Waiter struct {
	end  bool // of the whole reload, not only of its preparation
	told chan control.Reload
}

// NewWaiter returns a waiter for the end of a reload, or for that of its preparation
// alone.
func NewWaiter(end bool) *Waiter { return &Waiter{end, make(chan control.Reload, 1)} }

// Told is where the waiter gets his answer, once.
func (w *Waiter) Told() <-chan control.Reload { return w.told }

// Tell answers one who does not have to wait.
func (w *Waiter) Tell(r control.Reload) { w.told <- r }

// A Preparation is a reload that has no revision yet.
type Preparation struct{ waiting []*Waiter }

// Reloads are those of one master. They belong to one goroutine.
type Reloads struct {
	options Options `state:"-"`

	last   control.Reload `state:"last_reload"`
	newest int            `state:"newest_reload"` // revision of the last that was asked for; 0: it was refused, or there was none
	begun  int            `state:"-"`             // since this image of the master began

	waiting map[int][]*Waiter `state:"-"` // by revision

	preparation *Preparation  `state:"-"` // the newest; nil: none that counts
	alive       int           `state:"-"` // preparations, those included that do not count any more
	more        bool          `state:"-"` // the newest begins when there is room
	turn        chan struct{} `state:"-"` // holds a token while one of them has its turn
}

// New are the reloads of a master that had none. They are of use after [Reloads.Attach].
func New() *Reloads {
	return &Reloads{last: control.Reload{Result: control.None}, waiting: map[int][]*Waiter{}, turn: make(chan struct{}, 1)}
}

// Last is how the last reload that was asked for ended, or that it has not.
func (r *Reloads) Last() control.Reload { return r.last }

// Refused says whether the last reload ended before it had a revision.
func (r *Reloads) Refused() bool { return r.last.Result == control.RolledBack && r.newest == 0 }

// Begun is how many have begun since this image of the master did.
func (r *Reloads) Begun() int { return r.begun }

// Preparing says whether a reload is being prepared.
func (r *Reloads) Preparing() bool { return r.preparation != nil }

// Alive is how many goroutines prepare a reload.
func (r *Reloads) Alive() int { return r.alive }

// Begin has a reload take the place of one that is being prepared, which is what
// superseded says. The preparation is to be begun now; nil: there are too many.
func (r *Reloads) Begin(who ...*Waiter) (p *Preparation, superseded bool) {
	r.begun++
	superseded = r.preparation != nil
	if superseded {
		who = slices.Concat(r.preparation.waiting, who)
	}
	r.preparation = &Preparation{waiting: who}
	r.newest, r.last = 0, control.Reload{Result: control.Underway}
	if r.more = r.alive == Most; r.more {
		return nil, superseded
	}
	r.alive++
	return r.preparation, superseded
}

// counts says whether a preparation is still the one that counts.
func (r *Reloads) counts(p *Preparation) bool { return r.preparation == p }

// prepared takes note that the goroutine of a preparation is done. The one it returns
// is to be begun now; nil: none.
func (r *Reloads) prepared() (next *Preparation) {
	r.alive--
	if !r.more {
		return nil
	}
	r.more = false
	r.alive++
	return r.preparation
}

// Refuse ends the reload of the preparation that counts, and tells who waits why.
func (r *Reloads) Refuse(why string) { r.drop(control.Reload{Result: control.RolledBack, Error: why}) }

// Abandon has the reload that is being prepared not begin, if there is one: the master
// stops.
func (r *Reloads) Abandon() {
	if r.preparation != nil {
		r.more = false
		r.drop(Stopped())
	}
}

// drop ends a reload that has no revision.
func (r *Reloads) drop(result control.Reload) {
	p := r.preparation
	r.preparation, r.newest, r.last = nil, 0, result
	for _, w := range p.waiting {
		w.Tell(result)
	}
}

// Start gives the reload that was prepared its revision. Who waits for the preparation
// alone is told that it is under way.
func (r *Reloads) Start(revision int) {
	p := r.preparation
	r.preparation, r.newest = nil, revision
	for _, w := range p.waiting {
		if w.end {
			r.waiting[revision] = append(r.waiting[revision], w)
		} else {
			w.Tell(r.last)
		}
	}
}

// End ends the reload of a revision, and tells who waits.
func (r *Reloads) End(revision int, result control.Reload) {
	if r.newest == revision {
		r.last = result
	}
	for _, w := range r.waiting[revision] {
		w.Tell(result)
	}
	delete(r.waiting, revision)
}

// Follow has those who wait for the reload of one revision wait for that of another,
// which has taken its place.
func (r *Reloads) Follow(from, to int) {
	if waiting := r.waiting[from]; from != to && len(waiting) > 0 {
		r.waiting[to] = append(r.waiting[to], waiting...)
		delete(r.waiting, from)
	}
}

// Forget lets a waiter go who does not want to wait any longer.
func (r *Reloads) Forget(w *Waiter) {
	is := func(other *Waiter) bool { return other == w }
	if p := r.preparation; p != nil {
		p.waiting = slices.DeleteFunc(p.waiting, is)
	}
	for revision, waiting := range r.waiting {
		r.waiting[revision] = slices.DeleteFunc(waiting, is)
		if len(r.waiting[revision]) == 0 {
			delete(r.waiting, revision)
		}
	}
}

// Waiting is how many wait for a reload that has a revision.
func (r *Reloads) Waiting() (n int) {
	for _, waiting := range r.waiting {
		n += len(waiting)
	}
	return n
}

// Turn waits until no other preparation has its turn, which would be in the way, but
// not for one that never comes back. Any goroutine may call it.
func (r *Reloads) Turn() (done func()) {
	select {
	case r.turn <- struct{}{}:
		return func() { <-r.turn }
	case <-time.After(TurnTime):
		return func() {}
	}
}
