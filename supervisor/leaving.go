package supervisor

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// How long sockets are given to be accepted empty after new connections were
// kept away from them: at least leaveAtLeast, for handshakes under way, and
// for at most leaveAtMost.
const (
	leaveAtLeast = time.Second
	leaveAtMost  = 5 * time.Second
	leaveLook    = 250 * time.Millisecond
)

// leaving are sockets that will be closed as soon as nobody waits in their
// queues.
type leaving struct {
	sockets *socket.Set
	since   time.Time
	look    time.Time // when to look at the queues next
}

// leave prepares the retirement of a worker that has sockets which the current
// revision has not: when no other worker accepts on them any more they are
// leaving, and the worker is told so.
func (s *Supervisor) leave(w *worker) {
	given := w.revision.sockets.Without(s.current.sockets)
	if given.Len() > 0 && !s.fleet.Closed() && !s.served(given) {
		s.giveUp(given)
	}
	if s.leaving != nil {
		w.view().SetLeaving(w.revision.sockets.Bits(s.leaving.sockets.Own()))
	}
}

// served says whether a worker that nobody told to finish has one of the sockets.
func (s *Supervisor) served(sockets *socket.Set) bool {
	for w := range s.fleet.Workers() {
		if (w.State == fleet.Starting || w.State == fleet.Ready) && s.revisions[w.Revision].sockets.Bits(sockets) != 0 {
			return true
		}
	}
	return false
}

// giveUp keeps new connections away from the sockets and has them closed soon.
func (s *Supervisor) giveUp(sockets *socket.Set) {
	if err := sockets.Quiesce(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		s.log.Warn("cannot keep new connections away", zap.Error(err))
	}
	now := time.Now()
	s.leaving = &leaving{sockets: sockets, since: now, look: now.Add(leaveAtLeast)}
}

// comeBack keeps the sockets of a revision that is in force again.
func (s *Supervisor) comeBack(r *revision) {
	if s.leaving != nil {
		s.leaving.sockets = s.leaving.sockets.Without(r.sockets)
	}
}

// closeLeaving closes the sockets that are given up once their queues are
// empty. A rollback may still want them back, so a reload has to be over.
func (s *Supervisor) closeLeaving() {
	l := s.leaving
	now := time.Now()
	if l == nil || l.look.After(now) {
		return
	}
	if s.fleet.Reloading() || l.sockets.Queue() > 0 && now.Sub(l.since) < leaveAtMost {
		l.look = now.Add(leaveLook)
		return
	}
	if err := l.sockets.Close(); err != nil {
		s.log.Warn("cannot close a listener", zap.Error(err))
	}
	s.leaving = nil
}
