//go:build linux

package supervisor

import (
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// message is what a worker said, or a loader.
type message struct {
	id             int             `state:"id"`
	loader         preload.Message `state:",inline"` // of a loader, if it is one
	executed       bool            `state:"-"`       // the worker's own program runs
	notify.Message `state:"message"`
}

// post hands a message to the loop, unless nobody waits for it any more.
func (s *Supervisor) post(m message, done <-chan struct{}) {
	select {
	case s.messages <- m:
	case <-done:
	}
}

// serve has the worker's endpoint deliver to the loop.
func (s *Supervisor) serve(w *roster.Worker) {
	id, endpoint := w.ID, w.Endpoint
	endpoint.Serve(w.PID, func(m notify.Message) { s.post(message{id: id, Message: m}, endpoint.Done()) })
}

// hear takes note of what a worker said, for the next step.
func (s *Supervisor) hear(m message) {
	if m.loader.Loader != 0 {
		s.loaders.Hear(m.loader)
		return
	}
	w := s.roster.Of(m.id)
	if w == nil {
		return
	}
	s.readHeader(w)
	if m.executed {
		w.Executed = true
		s.note(fleet.Executed{ID: m.id})
		w.Signs.Due = time.Now()
	}
	if m.HasStatus {
		w.Says = m.Status
		s.log.Debug("worker status", w.Fields(zap.String("status", m.Status))...)
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
		s.note(w.Wish(fleet.Given(m.Recycle)))
	}
	if m.Stopping {
		s.note(fleet.SaidStopping{ID: m.id})
	}
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

// readHeader tells the brain that the worker wrote its header. One of a version this master does not know is
// treated as a plain worker.
func (s *Supervisor) readHeader(w *roster.Worker) {
	if w == nil || w.Memory == nil {
		return
	}
	if known, _ := s.fleet.Worker(w.ID); known.Cooperates() {
		return
	}
	header, ok := w.View().Header()
	switch {
	case ok:
		s.note(fleet.Cooperates{ID: w.ID})
	case header.Version > scoreboard.Version && !w.Newer:
		w.Newer = true
		s.log.Warn("worker speaks a newer protocol and is treated as a plain one: upgrade gosuper",
			w.Fields(zap.Uint32("version", header.Version), zap.Int("known", scoreboard.Version))...)
	}
}
