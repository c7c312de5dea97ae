//go:build linux

package supervisor

import (
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/guard"
	"github.com/gosuper/gosuper/supervisor/internal/loader"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// worker is one living process and what ties the master to it. A part that
// does not exist (no shared memory on this system) is nil.
type worker struct {
	fleet.Identity `state:"-"`
	pid            int                `state:"pid"`
	revision       *revision.Revision `state:"-"`
	endpoint       *notify.Endpoint   `state:"endpoint"`
	memory         *scoreboard.Memory `state:"-"`
	board          int                `state:"board,fd"` // of memory, while the state is written and read
	output         `state:",inline"`
	limit          int `state:"limit"` // its own max_requests; 0: none

	watch    guard.Record   `state:",inline"` // what the guard knows, while the state is written and read
	signs    signs          `state:"-"`
	executed bool           `state:"-"`     // its own program runs
	newer    bool           `state:"newer"` // speaks a version of the protocol unknown here; said once
	gone     bool           `state:"-"`     // reaped: its pid may be another's by now
	status   process.Status `state:"-"`
	failure  string         `state:"failure"` // what was wrong before it exited; "": nothing
	words    []string       `state:"words"`   // its last lines when the failure was noticed
	says     string         `state:"says"`    // what it last said about itself
}

// message is what a worker said, or a loader.
type message struct {
	id             int            `state:"id"`
	loader         int            `state:"loader"` // id of that; 0: it is a worker
	said           loader.Message `state:"said"`   // by the loader
	executed       bool           `state:"-"`      // the worker's own program runs
	notify.Message `state:"message"`
}

// post hands a message to the loop, unless the worker is given up meanwhile.
func (w *worker) post(s *Supervisor, m message) {
	select {
	case s.messages <- m:
	case <-w.endpoint.Done():
	}
}

// view is the worker's board, a board of zeros if it has none.
func (w *worker) view() scoreboard.View {
	if w.memory == nil {
		return scoreboard.View{}
	}
	return w.memory.View()
}

// boardFd is the descriptor of the worker's board; -1: it has none.
func (w *worker) boardFd() int {
	if w.memory == nil {
		return -1
	}
	return int(w.memory.File().Fd())
}

// fields identify a worker in the log.
func (w *worker) fields(more ...zap.Field) []zap.Field {
	return append([]zap.Field{
		zap.Int("worker", w.ID), zap.Int("slot", w.Slot),
		zap.Int("pid", w.pid), zap.Int("generation", w.Generation),
	}, more...)
}

// release gives back what the master holds for a worker. Its last words stay
// readable until the worker is forgotten.
func (w *worker) release() {
	if w.endpoint != nil {
		w.endpoint.Close()
	}
	if w.memory != nil {
		w.memory.Close()
		w.memory = nil
	}
	if w.pid == 0 {
		for _, t := range w.tails() {
			t.Close() // else it closes itself, when the last who can write is gone
		}
		w.tail, w.stdout = nil, nil
	}
}

// hear takes note of what a worker said, for the next step.
func (s *Supervisor) hear(m message) {
	if m.loader != 0 {
		s.hearLoader(m)
		return
	}
	w := s.roster.Of(m.id)
	if w == nil {
		return
	}
	s.readHeader(w)
	if m.executed {
		w.executed = true
		s.note(fleet.Executed{ID: m.id})
		w.signs.due = time.Now()
	}
	if m.HasStatus {
		w.says = m.Status
		s.log.Debug("worker status", w.fields(zap.String("status", m.Status))...)
	}
	if m.Watchdog {
		s.guard.Beat(m.id, time.Now())
	}
	if m.ExtendTimeout > 0 {
		s.note(fleet.Extend{ID: m.id, By: m.ExtendTimeout})
	}
	if m.Ready {
		s.note(fleet.SaidReady{ID: m.id})
	}
	if m.Recycle != "" {
		s.note(w.wish(fleet.Given(m.Recycle)))
	}
	if m.Stopping {
		s.note(fleet.SaidStopping{ID: m.id})
	}
}

// wish is what it means that the worker wants to be replaced. Where max_requests is
// configured, one that has served so many, as far as its board tells, says what was
// asked for: that is no wish of its own, which may have to wait.
func (w *worker) wish(why fleet.Reason) fleet.Event {
	if why == fleet.ReasonRequests && w.limit > 0 && w.view().Counters().Started >= uint64(w.limit) {
		return fleet.Recycle{ID: w.ID, Reason: why}
	}
	return fleet.Wish{ID: w.ID, Reason: why}
}

// listenTo hears a message and others that are there already: as many at most
// as there are workers, lest one that never falls silent keeps the loop.
func (s *Supervisor) listenTo(m message) {
	s.hear(m)
	for more := s.fleet.Alive(); more > 0; more-- {
		select {
		case m := <-s.messages:
			s.hear(m)
		default:
			more = 0
		}
	}
	s.step()
	s.lookForSigns(time.Now())
	s.step()
}

// readHeaders looks whether workers have become cooperating ones.
func (s *Supervisor) readHeaders() {
	for w := range s.fleet.Workers() {
		s.readHeader(s.roster.Of(w.ID))
	}
}

// readHeader tells the brain that the worker wrote its header. One of a version this master does not know is
// treated as a plain worker.
func (s *Supervisor) readHeader(w *worker) {
	if w == nil || w.memory == nil {
		return
	}
	if known, _ := s.fleet.Worker(w.ID); known.Cooperates() {
		return
	}
	header, ok := w.view().Header()
	switch {
	case ok:
		s.note(fleet.Cooperates{ID: w.ID})
	case header.Version > scoreboard.Version && !w.newer:
		w.newer = true
		s.log.Warn("worker speaks a newer protocol and is treated as a plain one: upgrade gosuper",
			w.fields(zap.Uint32("version", header.Version), zap.Int("known", scoreboard.Version))...)
	}
}

// age is how long the worker has lived.
func (w *worker) age() time.Duration { return time.Since(w.Spawned).Round(time.Millisecond) }
