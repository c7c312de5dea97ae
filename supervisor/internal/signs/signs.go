//go:build linux

// Package signs is what a master hears and sees of its workers.
//
// They say what they want to be known by datagrams, and by the header of their board.
// What a young one does not say is looked for: that it waits for connections, which makes
// a plain worker ready, and at which addresses nobody serves. All of it becomes events for
// the brain, and lines in the log where somebody has to do something about it.
package signs

import (
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/guard"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// Message is what a worker said, or a loader.
type Message struct {
	ID             int             `state:"id"`
	Loader         preload.Message `state:",inline"` // of a loader, if it is one
	Executed       bool            `state:"-"`       // the worker's own program runs
	notify.Message `state:"message"`
}

// Options are what signs need. All fields are required.
type Options struct {
	Log    *zap.Logger
	Loop   *loop.Loop
	Fleet  *fleet.Fleet // what is known of the workers
	Roster *roster.Roster
	// Loaders hear what is theirs, and Guard hears of signs of life.
	Loaders *preload.Loaders
	Guard   *guard.Guard
	// Busy hears of a worker that says it is busy.
	Busy func(id int)
	// Once says whether something is to be said that is said only once, which it is then.
	Once func(what string) bool
	// Look looks at processes as [process.Look] does. It is called from other goroutines.
	Look func(asked []process.Asked, others []int, told func(seen map[int]process.Waiting))
	// Note keeps an event for the next step of the brain, and Step has it take one.
	Note func(fleet.Event)
	Step func(...fleet.Event)
}

// Signs are those of the workers of one master. They belong to one goroutine, and are of
// use after [Signs.Attach].
type Signs struct {
	// C is where messages arrive, for [Signs.Listen].
	C chan Message

	options Options
	looks   map[int]*look // by worker
	pass    pass
}

// New are signs of nobody.
func New() *Signs { return &Signs{C: make(chan Message), looks: map[int]*look{}} }

// Attach says what the signs work with.
func (s *Signs) Attach(o Options) { s.options = o }

// Serve has what a worker says be delivered.
func (s *Signs) Serve(w *roster.Worker) {
	id, endpoint := w.ID, w.Endpoint
	endpoint.Serve(w.PID, func(m notify.Message) bool { return s.Post(Message{ID: id, Message: m}, endpoint.Done()) })
}

// Finish hears what a worker has said whose process is gone: that counts before its end, however late it is heard.
func (s *Signs) Finish(w *roster.Worker) (said notify.Message) {
	if w.Endpoint != nil {
		said = w.Endpoint.Finish(w.PID)
		s.Hear(Message{ID: w.ID, Message: said})
	}
	return said
}

// Resume has what the workers of another image of this process say be delivered, and what
// they do not say be looked for.
func (s *Signs) Resume() {
	for w := range s.options.Roster.All() {
		s.of(w).due = time.Now()
		if w.Endpoint != nil {
			s.Serve(w)
		}
	}
}

// Post delivers a message, unless nobody waits for it any more, and reports whether it did.
// Any goroutine but the owner may call it.
func (s *Signs) Post(m Message, done <-chan struct{}) bool {
	select {
	case s.C <- m:
		return true
	case <-done:
		return false
	}
}

// Listen hears a message and others that are there already: as many at most as there are
// workers, lest one that never falls silent keeps the owner.
func (s *Signs) Listen(m Message) {
	s.Hear(m)
	for more := s.options.Fleet.Alive(); more > 0; more-- {
		select {
		case m := <-s.C:
			s.Hear(m)
		default:
			more = 0
		}
	}
	s.options.Step()
	s.Look(time.Now())
	s.options.Step()
}

// Hear takes note of a message, for the next step.
func (s *Signs) Hear(m Message) {
	if m.Loader.Loader != 0 {
		s.options.Loaders.Hear(m.Loader)
		return
	}
	w := s.options.Roster.Of(m.ID)
	if w == nil {
		return
	}
	s.readHeader(w)
	if m.Executed {
		w.Executed = true
		s.options.Note(fleet.Executed{ID: m.ID})
		s.of(w).due = time.Now()
	}
	if m.HasStatus {
		w.Says = m.Status
		s.options.Log.Debug("worker status", w.Fields(zap.String("status", m.Status))...)
	}
	if m.Watchdog {
		s.options.Guard.Beat(m.ID, time.Now())
	}
	if m.Failing {
		s.options.Guard.Suspect(m.ID, time.Now())
	}
	if m.Busy {
		s.options.Busy(m.ID)
	}
	if m.ExtendTimeout > 0 {
		s.options.Note(fleet.Extend{ID: m.ID, By: m.ExtendTimeout})
	}
	if m.Ready {
		s.options.Note(fleet.SaidReady{ID: m.ID, Holds: w.View().CanHold()})
	}
	if m.Recycle != "" {
		s.options.Note(w.Wish(fleet.Given(m.Recycle)))
	}
	if m.Failed { // before STOPPING=1, which it says too
		s.options.Note(fleet.SaidFailed{ID: m.ID})
	}
	if m.Stopping {
		s.options.Note(fleet.SaidStopping{ID: m.ID})
	}
}

// ReadHeaders tells the brain which workers wrote their headers.
func (s *Signs) ReadHeaders() {
	for w := range s.options.Fleet.Workers() {
		s.readHeader(s.options.Roster.Of(w.ID))
	}
}

// readHeader tells the brain that the worker wrote its header. One of a version this master
// does not know is treated as a plain worker.
func (s *Signs) readHeader(w *roster.Worker) {
	if w == nil || w.Memory == nil {
		return
	}
	if known, _ := s.options.Fleet.Worker(w.ID); known.Cooperates() {
		return
	}
	header, ok := w.View().Header()
	switch {
	case ok:
		s.options.Note(fleet.Cooperates{ID: w.ID})
	case header.Version > scoreboard.Version && !s.of(w).newer:
		s.of(w).newer = true
		s.options.Log.Warn("worker speaks a newer protocol and is treated as a plain one: upgrade gosuper",
			w.Fields(zap.Uint32("version", header.Version), zap.Int("known", scoreboard.Version))...)
	}
}

// Activate tells a spare that it is the worker of a slot from now on. One that has no
// process yet will read its board.
func (s *Signs) Activate(w *roster.Worker, slot int) {
	w.Slot = slot
	w.View().Release(slot)
	if w.PID == 0 || w.Endpoint == nil {
		return
	}
	if err := w.Endpoint.Look(); err != nil {
		s.options.Log.Warn("a spare may not know yet that it has a slot", w.Fields(zap.Error(err))...)
	}
}
