//go:build linux

package roster

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/boards"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/guard"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/output"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/tally"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// Worker is one worker and what ties the master to it: its process and its handles. What
// state it is in only the brain knows (package fleet). A part that does not exist (no
// shared memory on this system) is nil.
type Worker struct {
	fleet.Identity `state:"-"`
	Rev            *revision.Revision `state:"-"`     // what it was made of
	Limit          int                `state:"limit"` // its own max_requests; 0: none

	Process       `state:",inline"`
	Endpoint      *notify.Endpoint   `state:"endpoint"`
	Says          string             `state:"says"` // what it last said there about itself, for people
	Memory        *scoreboard.Memory `state:"-"`
	output.Output `state:",inline"`

	// Board and Watch are of use only while the state is written and read: the descriptor
	// of Memory, and what the guard knows.
	Board int          `state:"board,fd"`
	Watch guard.Record `state:",inline"`
}

// Process is the handle of a process: what the kernel says of it, which the brain never
// asks for, and what was found wrong with it while it could still be looked at. Together
// that explains its end.
type Process struct {
	PID          int            `state:"pid"`     // 0: there is none yet
	Making       bool           `state:"-"`       // it is being made, and its program may run before the pid is known
	Executed     bool           `state:"-"`       // its own program runs
	Gone         bool           `state:"-"`       // reaped, so that its pid may be another's, or given up before it was made
	Status       process.Status `state:"-"`       // how it ended, once it is reaped
	Failure      string         `state:"failure"` // what was wrong before; "": nothing
	FailureLines []string       `state:"words"`   // its last lines when that was noticed
}

// View is the worker's board, a board of zeros if it has none.
func (w *Worker) View() scoreboard.View {
	if w.Memory == nil {
		return scoreboard.View{}
	}
	return w.Memory.View()
}

// SetDeadline tells the worker when it will be killed.
func (w *Worker) SetDeadline(until time.Time) {
	w.View().SetDrainUntil(scoreboard.Monotonic() + int64(time.Until(until)))
}

// BoardFD is the descriptor of the worker's board; -1: it has none.
func (w *Worker) BoardFD() int {
	if w.Memory == nil {
		return -1
	}
	return int(w.Memory.File().Fd())
}

// Fields identify the worker in the log. A spare has no slot there.
func (w *Worker) Fields(more ...zap.Field) []zap.Field {
	fields := []zap.Field{zap.Int("worker", w.ID), zap.Int("slot", w.Slot)}
	if w.Slot == fleet.NoSlot {
		fields = fields[:1]
	}
	return append(append(fields, zap.Int("pid", w.PID), zap.Int("generation", w.Generation)), more...)
}

// Leased is the lease of the worker in the log, if it has one.
func (w *Worker) Leased() []zap.Field {
	if w.Lease == nil {
		return nil
	}
	return []zap.Field{zap.Any("lease", map[string]string(w.Lease))}
}

// Age is how long the worker has lived.
func (w *Worker) Age() time.Duration { return time.Since(w.Spawned).Round(time.Millisecond) }

// Reading is what the worker's board counts.
func (w *Worker) Reading() tally.Reading {
	h := w.View().Histogram()
	return tally.Reading{Counters: w.View().Counters(), Histogram: h.Counts[:], Microseconds: uint64(h.Sum) / 1000}
}

// Wish is what it means that the worker wants to be replaced. Where max_requests is
// configured, one that has served so many, as far as its board tells, says what was
// asked for: that is no wish of its own, which may have to wait.
func (w *Worker) Wish(why fleet.Reason) fleet.Event {
	if why == fleet.ReasonRequests && w.Limit > 0 && w.View().Counters().Started >= uint64(w.Limit) {
		return fleet.Recycle{ID: w.ID, Reason: why}
	}
	return fleet.Wish{ID: w.ID, Reason: why}
}

// Ending says how the process ended. Many programs leave the stop signal to its
// default, or raise it again when they are done: that is what they were asked for.
func (w *Worker) Ending(known fleet.Worker) string {
	switch {
	case w.Failure == "" && !known.Until.IsZero() && w.Status == (process.Status{Signal: w.Rev.Config.StopSignal.Number}):
		return "stopped"
	case w.Failure == "":
		return w.Status.String()
	case w.PID == 0 || !w.Gone:
		return w.Failure
	}
	return w.Failure + " (" + w.Status.String() + ")"
}

// FinalLines are the last lines that the worker wrote, which explain its end.
func (w *Worker) FinalLines() []string {
	if w.FailureLines != nil {
		return w.FailureLines
	}
	return w.LastLines()
}

// Release gives back what the master holds for the worker. Its last words stay readable
// until it is forgotten, if it had a process.
func (w *Worker) Release() {
	if w.Endpoint != nil {
		w.Endpoint.Close()
	}
	if w.Memory != nil {
		w.Memory.Close()
		w.Memory = nil
	}
	if w.PID == 0 {
		w.Close() // else its output closes itself, when the last who can write is gone
	}
}

// Reopen goes on with what the worker says, of whom another image of this process wrote.
// What cannot be reopened is gone.
func (w *Worker) Reopen(to output.Destination, log *zap.Logger) error {
	w.Memory = boards.Adopt(w.Board, log)
	errs := [2]error{w.Output.Reopen(to, w.ID)}
	if w.Endpoint != nil {
		if errs[1] = w.Endpoint.Reopen(); errs[1] != nil {
			w.Endpoint = nil
		}
	}
	return errors.Join(errs[:]...)
}

// Describe is the worker for people, as the brain knows it.
func (w *Worker) Describe(known fleet.Worker, now time.Time) control.Worker {
	one := control.Worker{
		ID: w.ID, Slot: known.Slot, Place: known.Place, Generation: known.Generation,
		State: describe(known), Cooperating: known.Cooperates(), AgeSeconds: control.Seconds(now.Sub(known.Spawned)),
		Status: w.Says, Recycle: string(known.ToBeReplaced()), MemoryKind: control.RSS, Lease: map[string]string{},
	}
	maps.Copy(one.Lease, known.Lease)
	if w.PID != 0 {
		one.PID = new(w.PID)
	}
	if known.Cooperates() {
		c := w.View().Counters()
		one.Requests, one.MaxRequests, one.InFlight = new(c.Finished), w.Limit, new(uint64)
		if c.Started > c.Finished {
			*one.InFlight = c.Started - c.Finished
		}
	}
	return one
}

// describe is the state of a worker for people: a spare that is ready is not, to them.
func describe(known fleet.Worker) string {
	if known.Spare() && known.State == fleet.Ready {
		return "spare"
	}
	return known.State.String()
}

// Requests are those in flight, the oldest first. Of the board the text is fit to be
// read and the numbers may be anything.
func (w *Worker) Requests() []control.Request {
	clock := scoreboard.Monotonic()
	found := w.View().Requests()
	slices.SortStableFunc(found, func(a, b scoreboard.Request) int { return cmp.Compare(a.Start, b.Start) })
	limits := w.Rev.Limits()
	requests := make([]control.Request, len(found))
	for i, r := range found {
		requests[i] = control.Request{
			Worker: w.ID, Method: r.Method, Path: r.Path, RequestID: r.ID,
			AgeSeconds: since(clock, r.Start), IdleSeconds: since(clock, r.Progress),
			Streaming: r.Flags&(scoreboard.Streaming|scoreboard.Upgraded) != 0,
		}
		if due := limits.Due(r.Slot); due != scoreboard.Never {
			requests[i].DueSeconds = new(since(due, clock))
		}
	}
	return requests
}

// since is the time from then to now in seconds, 0 if that is not in the past.
func since(now, then int64) float64 {
	return math.Round(max(float64(now)-float64(then), 0)/1e6) / 1e3
}
