//go:build linux

package preload

import (
	"iter"
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/loader"
	"github.com/gosuper/gosuper/supervisor/internal/logorder"
	"github.com/gosuper/gosuper/supervisor/internal/output"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// Loaders are the processes that the workers of preloaded revisions are forked from.
type Loaders struct {
	options Options `state:"-"`

	all    []*Loader             `state:"loaders"`
	last   int                   `state:"last_loader"` // id of the newest
	ended  map[int]*books.Ending `state:"-"`           // of the last one of a revision that failed
	faults map[int]fleet.Reason  `state:"-"`           // of the same, until another one is started
	exit   time.Time             `state:"-"`           // when a process ended last that shared memory with others
	exits  time.Time             `state:"-"`           // the first of those that followed each other within unreliableFor
}

// New are the loaders of a master that has none. They are of use after
// [Loaders.Attach].
func New() Loaders { return Loaders{ended: map[int]*books.Ending{}, faults: map[int]fleet.Reason{}} }

// Options are what a master gives its loaders. All fields are required.
type Options struct {
	Log     *logorder.Log
	Environ []string           // of the master
	Output  output.Destination // of what they write
	// Roster is where the workers are that they make, and what they wrote is left.
	Roster *roster.Roster
	// Leftovers are told who has died.
	Leftovers *leftovers.Leftovers
	// Note tells the brain, and State says what that knows of the loader of a revision.
	Note  func(fleet.Event)
	State func(revision int) fleet.Loader
	// Restarted counts a loader that is not the first, by the end of the one before.
	Restarted func(fleet.Reason)
	// Failed remembers the end of a loader that nobody asked for.
	Failed func(incidents.Incident)
	// Known says whether a process was started by the master, and Child whether it is a
	// child at all.
	Known, Child func(pid int) bool
	// Kill ends a process with all that it has started, as [process.Killer.Kill] does.
	Kill func(pid int) error
	// Make has a process made that is no worker's. start does that on the main thread;
	// told learns what came of it, and ended how the process ended, be it at once.
	Make func(start func() (pid int, err error), told func(pid int, err error), ended func(process.Status))
	// Room tells, by and by, why there is no memory for a loader beside those with these pids;
	// nil: there is.
	Room func(beside []int, tell func(error))
	// Deliver brings to the owner of the loaders, from any goroutine, what there is to do
	// with them, but for one who is done, and reports whether it did.
	Deliver func(m Message, done <-chan struct{}) bool
}

// A Message is what a loader, or a worker that it has made, said.
type Message struct {
	Loader   int            `state:"loader"` // its id; 0: it was no loader
	Said     loader.Message `state:"said"`
	Executed bool           `state:"-"` // its own program runs
}

// Attach says what the loaders work with.
func (l *Loaders) Attach(o Options) { l.options = o }

// How long the figures of memory say nothing after a process has ended: what it had in
// common with others is theirs from then on, and they have not grown. Where one ends after
// the other it is no longer than unreliableMost in all: as many come as go then, and one
// that grows is to be found also where others are recycled all the time.
const (
	unreliableFor  = 5 * time.Second
	unreliableMost = 3 * unreliableFor
)

// Unreliable says whether the memory of workers that were forked is not to be judged now.
func (l *Loaders) Unreliable(now time.Time) bool {
	return now.Sub(l.exit) < unreliableFor && now.Sub(l.exits) < unreliableMost
}

// WorkerDied notes that a worker was reaped which shared memory with others.
func (l *Loaders) WorkerDied(now time.Time) {
	if now.Sub(l.exit) >= unreliableFor {
		l.exits = now
	}
	l.exit = now
}

// Alive yields those that are not reaped.
func (l *Loaders) Alive() iter.Seq[*Loader] {
	return func(yield func(*Loader) bool) {
		for _, one := range l.all {
			if !one.channel.Gone() && !yield(one) {
				return
			}
		}
	}
}

// All are those of which something is held.
func (l *Loaders) All() []*Loader { return slices.Clone(l.all) }

// ByPID is the loader with that pid which is not reaped; nil: there is none.
func (l *Loaders) ByPID(pid int) *Loader {
	return l.first(func(one *Loader) bool { return one.channel.PID == pid && !one.channel.Gone() })
}

// Of is the loader of a revision that can be asked for workers; nil: there is none.
func (l *Loaders) Of(revision int) *Loader {
	return l.first(func(one *Loader) bool { return one.number == revision && !one.channel.Gone() })
}

// first is the first that is as wanted; nil: none is.
func (l *Loaders) first(is func(*Loader) bool) *Loader {
	if i := slices.IndexFunc(l.all, is); i >= 0 {
		return l.all[i]
	}
	return nil
}

// Ready says whether every one of them runs the program of its revision and is alive: an
// upgrade waits for that.
func (l *Loaders) Ready() bool {
	return l.first(func(one *Loader) bool { return !one.executed || one.channel.Gone() }) == nil
}

// Due is when the first of them is to be asked whether it hangs; zero: never.
func (l *Loaders) Due() (next time.Time) {
	for _, one := range l.all {
		if due := one.channel.Due(); next.IsZero() || !due.IsZero() && due.Before(next) {
			next = due
		}
	}
	return next
}

// Cancel has a worker not be asked for, if it is not yet; else there will be an answer.
func (l *Loaders) Cancel(id int) (taken bool) {
	for _, one := range l.all {
		taken = one.channel.Cancel(id) || taken
	}
	return taken
}

// Status is that of all that are not reaped.
func (l *Loaders) Status(now time.Time) []control.Loader {
	all := []control.Loader{}
	for one := range l.Alive() {
		st := control.Loader{
			Generation: one.generation, State: l.options.State(one.number).State.String(), AgeSeconds: control.Seconds(now.Sub(one.started)),
			Forks: one.forks, MemoryKind: control.RSS, Status: one.says,
		}
		if one.channel.PID > 0 {
			st.PID = new(one.channel.PID)
		}
		all = append(all, st)
	}
	return all
}

// Ending is how the last loader of a revision failed, as far as it is known.
func (l *Loaders) Ending(revision int) books.Ending {
	if e := l.ended[revision]; e != nil {
		return *e
	}
	return books.Ending{}
}

// Forget forgets how the loader of a revision failed, which is dropped.
func (l *Loaders) Forget(revision int) {
	delete(l.ended, revision)
	delete(l.faults, revision)
}

// Failing says more about the loaders of a revision that fail while workers wait for one;
// nil: they do not.
func (l *Loaders) Failing(revision int, sum fleet.Summary, now time.Time) *control.LoaderFailing {
	return books.LoaderFailing(sum, now, l.Ending(revision))
}

// Wait says in one line why workers of a revision have to wait for a loader; "": they do
// not.
func (l *Loaders) Wait(revision int, sum fleet.Summary, now time.Time) string {
	switch failing := l.Failing(revision, sum, now); {
	case failing != nil:
		return failing.Text()
	case sum.Unloaded:
		return "the application is being loaded"
	}
	return ""
}

// Leaders are those who may leave something behind, with ids that no worker has.
func (l *Loaders) Leaders() (alive []leftovers.Leader) {
	for one := range l.Alive() {
		if one.channel.PID != 0 {
			alive = append(alive, one.leader())
		}
	}
	return alive
}
