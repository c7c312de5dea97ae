//go:build linux

package supervisor

import (
	"iter"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/guard"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// watched are the workers that the guard looks at.
func (s *Supervisor) watched() iter.Seq[guard.Charge] {
	return func(yield func(guard.Charge) bool) {
		for known := range s.fleet.Workers() {
			w := s.roster.Of(known.ID)
			if w.Gone || !known.Watched() {
				continue
			}
			if !yield(guard.Charge{ID: w.ID, Board: w.View(), Header: known.Cooperates(), Limits: w.Rev.Limits()}) {
				return
			}
		}
	}
}

// patrol looks at the boards when the time of one has come, and tells the brain
// what is to be seen there.
func (s *Supervisor) patrol(now time.Time) {
	due := s.guard.Next()
	if due.IsZero() || due.After(now) {
		return
	}
	seen := fleet.Looked{Due: due}
	for _, sight := range s.guard.Look(now) {
		seen.Sights = append(seen.Sights, fleet.Sight(sight))
	}
	s.report.ReadBoards(now)
	s.step(seen)
}

// blame writes the line that says why a worker has to go: what the last look
// saw of it.
func (s *Supervisor) blame(w *roster.Worker, a fleet.FoundStuck) {
	fields := w.Fields()
	if known, _ := s.fleet.Worker(a.ID); known.Cooperates() {
		fields = append(fields, zap.Int("other_requests", a.Innocents))
	}
	if a.Reason == fleet.ReasonWatchdog {
		s.log.Error("worker is stuck: no sign of life", append(fields, zap.Duration("silent", time.Since(s.guard.Heard(w.ID)).Round(time.Millisecond)))...)
		return
	}
	slot, clock := s.guard.Overdue(w.ID), scoreboard.Monotonic()
	r, _ := w.View().Request(slot.Index)
	s.log.Error("worker is stuck: a request does not end", append(fields, zap.String("method", r.Method), zap.String("path", r.Path), zap.String("request_id", r.ID),
		zap.Duration("request_age", time.Duration(clock-slot.Start).Round(time.Millisecond)),
		zap.Duration("idle", time.Duration(clock-slot.Progress).Round(time.Millisecond)))...)
}

// lost counts the innocent requests that the end of a stuck worker takes along.
func (s *Supervisor) lost(w *roster.Worker, known fleet.Worker) {
	if !known.Stuck {
		return
	}
	s.books.LoseInnocents(known.Innocents)
	fields := w.Fields()
	if known.Cooperates() {
		fields = append(fields, zap.Int("requests_lost", known.Innocents))
	}
	s.log.Warn("ending stuck worker", fields...)
}
