//go:build linux

// Package limits holds workers to the limits of their configurations: the time that their
// requests take, the signs of life that they give (package guard), and the memory that they
// take (package scales). How many there are between workers and workers_max follows from what
// there is to do (package demand), and how many beyond those from the memory that there is
// (package overlap). What is seen becomes an event for the brain, and a line in
// the log about what that decides.
package limits

import (
	"io/fs"
	"iter"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/demand"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/guard"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/overlap"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// Options are what limits need. All fields are required.
type Options struct {
	Log       *zap.Logger
	Loop      *loop.Loop // by which those reach the owner who weigh, or wait for connections
	Fleet     *fleet.Fleet
	Roster    *roster.Roster
	Revisions *revision.Known
	Loaders   *preload.Loaders
	// Listen has sockets listen, which nobody does else where there is no worker.
	Listen func(*socket.Set) error
	// Root is the file system of the machine, which has the limits of our cgroup.
	Root fs.FS
	// ReadBoards brings the totals up to date, and LoseInnocents enters requests that were
	// not to blame for the end of the stuck worker that takes them along.
	ReadBoards    func(now time.Time)
	LoseInnocents func(n int)
	// Note keeps an event for the next step of the brain, and Step has it take one.
	Note func(fleet.Event)
	Step func(...fleet.Event)
}

// Limits are those of the workers of one master. They belong to one goroutine, and are of
// use after [Limits.Attach].
type Limits struct {
	options Options `state:"-"`

	Guard   *guard.Guard   `state:"-"` // what it knows the workers have while the state is written and read
	Scales  *scales.Scales `state:",inline"`
	Demand  demand.Meter   `state:"-"`
	Overlap overlap.Meter  `state:"-"`
	machine machine        `state:"-"`
}

// New are the limits of nobody.
func New() Limits { return Limits{Guard: guard.New(scoreboard.Monotonic), Scales: scales.New()} }

// Attach says what the limits work with.
func (l *Limits) Attach(o Options) {
	l.options = o
	l.Overlap.Attach(overlap.Options{Log: o.Log, Loop: o.Loop, Fleet: o.Fleet, Roster: o.Roster, Loaders: o.Loaders, Revisions: o.Revisions, Scales: l.Scales, Root: o.Root, Note: o.Note, Step: o.Step})
	l.Demand.Attach(demand.Options{Log: o.Log, Loop: o.Loop, Fleet: o.Fleet, Roster: o.Roster, Revisions: o.Revisions, Listen: o.Listen, Stale: l.Stale, Step: o.Step})
}

// Due is when to call [Limits.Patrol] next; zero: never.
func (l *Limits) Due() time.Time {
	return loop.Soonest(l.Guard.Next(), l.Demand.Due(), l.machine.due())
}

// Keep has the boards of those looked at of whom it matters what is to be seen, if that
// may have changed. It is to be called after each step of the brain.
func (l *Limits) Keep(now time.Time) {
	if l.options.Fleet.Moved() {
		l.Guard.Keep(now, l.watched())
		l.decided(now)
	}
	l.Demand.Keep()
}

// Save readies what the guard knows of the workers for being written with them.
func (l *Limits) Save() {
	for w := range l.options.Roster.All() {
		w.Watch = l.Guard.Record(w.ID)
	}
}

// Resume tells the guard what was written so.
func (l *Limits) Resume() {
	for w := range l.options.Roster.All() {
		l.Guard.Resume(w.ID, w.Watch)
	}
}

// Begin holds those to their limits who work already, before the first step. Versions before
// did not write down what those of the machine were.
func (l *Limits) Begin(now time.Time) {
	l.follow(now)
	l.Guard.Keep(now, l.watched())
	for w := range l.options.Roster.All() {
		l.Weigh(w)
	}
}

// watched are the workers that the guard looks at.
func (l *Limits) watched() iter.Seq[guard.Charge] {
	return func(yield func(guard.Charge) bool) {
		for known := range l.options.Fleet.Workers() {
			w := l.options.Roster.Of(known.ID)
			if w.Gone || !known.Watched() {
				continue
			}
			if !yield(guard.Charge{ID: w.ID, Board: w.View(), Header: known.Cooperates(), Linger: known.Lingers(), Limits: w.Rev.Limits()}) {
				return
			}
		}
	}
}

// Patrol looks at the boards when the time of one has come, and at what there is to do,
// and tells the brain what is to be seen there.
func (l *Limits) Patrol(now time.Time) {
	l.look(now)
	l.Demand.Look(now)
	if due := l.machine.due(); !due.IsZero() && !due.After(now) {
		l.follow(now)
	}
}

func (l *Limits) look(now time.Time) {
	due := l.Guard.Next()
	if due.IsZero() || due.After(now) {
		return
	}
	seen := fleet.Looked{Due: due}
	for _, sight := range l.Guard.Look(now) {
		seen.Sights = append(seen.Sights, fleet.Sight(sight))
	}
	l.options.ReadBoards(now)
	l.options.Step(seen)
}

// Crowded writes the line that says that a worker waits for drains to be replaced.
func (l *Limits) Crowded(w *roster.Worker, draining int) {
	known, _ := l.options.Fleet.Worker(w.ID)
	l.options.Log.Warn("a recycling waits: as many workers drain as there may be beyond the others", w.Fields(zap.String("reason", string(known.Recycle)), zap.Int("draining", draining),
		zap.String("hint", "with a greater surge more streams outlive the replacement of their workers; drain_timeout bounds them"))...)
}

// Blame writes the line that says why a worker has to go: what the last look
// saw of it.
func (l *Limits) Blame(w *roster.Worker, a fleet.FoundStuck) {
	fields := w.Fields()
	if known, _ := l.options.Fleet.Worker(a.ID); known.Cooperates() {
		fields = append(fields, zap.Int("other_requests", a.Innocents))
	}
	if a.Reason == fleet.ReasonWatchdog {
		l.options.Log.Error("worker is stuck: no sign of life", append(fields, zap.Duration("silent", time.Since(l.Guard.Heard(w.ID)).Round(time.Millisecond)))...)
		return
	}
	slot, clock := l.Guard.Overdue(w.ID), scoreboard.Monotonic()
	r, _ := w.View().Request(slot.Index)
	l.options.Log.Error("worker is stuck: a request does not end", append(fields, zap.String("method", r.Method), zap.String("path", r.Path), zap.String("request_id", r.ID),
		zap.Duration("request_age", time.Duration(clock-slot.Start).Round(time.Millisecond)),
		zap.Duration("idle", time.Duration(clock-slot.Progress).Round(time.Millisecond)))...)
}

// Lost counts the innocent requests that the end of a stuck worker takes along.
func (l *Limits) Lost(w *roster.Worker, known fleet.Worker) {
	if !known.Stuck {
		return
	}
	l.options.LoseInnocents(known.Innocents)
	fields := w.Fields()
	if known.Cooperates() {
		fields = append(fields, zap.Int("requests_lost", known.Innocents))
	}
	l.options.Log.Warn("ending stuck worker", fields...)
}
