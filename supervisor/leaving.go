//go:build linux

package supervisor

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/worker/protocol"
)

// How long sockets are given to be accepted empty after new connections were
// kept away from them: at least for as long as a worker has found them empty when it
// closes them, and for at most leaveAtMost.
const (
	leaveAtLeast = protocol.QuietQueue
	leaveAtMost  = 5 * time.Second
	leaveLook    = 250 * time.Millisecond
)

// leaving are sockets that will be closed as soon as nobody waits in their
// queues. Those that are given up at one time are looked at together.
type leaving struct {
	sockets *socket.Set `state:"set"`
	since   time.Time   `state:"since"`
	look    time.Time   `state:"look"` // when to look at the queues next
}

// leave prepares the retirement of a worker that has sockets which the current
// revision has not: those on which no other worker accepts any more are leaving,
// and the worker is told so.
func (s *Supervisor) leave(w *worker) {
	if !s.fleet.Closed() {
		s.giveUp(s.unserved(w.revision.sockets.Without(s.current.sockets)))
	}
	var bits uint64
	for _, l := range s.leaving {
		bits |= w.revision.sockets.Bits(l.sockets.Own())
	}
	if bits != 0 {
		w.view().SetLeaving(bits)
	}
}

// unserved are those of the sockets that no worker has whom nobody told to finish.
func (s *Supervisor) unserved(sockets *socket.Set) *socket.Set {
	for w := range s.fleet.Workers() {
		if w.State == fleet.Starting || w.State == fleet.Ready {
			sockets = sockets.Without(s.revisions[w.Revision].sockets)
		}
	}
	return sockets
}

// inUse says whether a worker lives that was given one of the sockets.
func (s *Supervisor) inUse(sockets *socket.Set) bool {
	for w := range s.roster.All() {
		if !w.gone && w.revision.sockets.Bits(sockets) != 0 {
			return true
		}
	}
	return false
}

// giveUp keeps new connections away from the sockets and has them closed soon,
// beside those that are leaving already.
func (s *Supervisor) giveUp(sockets *socket.Set) {
	if sockets = s.notLeaving(sockets); sockets.Len() == 0 {
		return
	}
	if err := sockets.Quiesce(); err != nil {
		s.log.Warn("cannot keep new connections away", zap.Error(err))
	}
	now := time.Now()
	s.leaving = append(s.leaving, &leaving{sockets: sockets, since: now, look: now.Add(leaveAtLeast)})
}

// notLeaving are those of the sockets that are not leaving.
func (s *Supervisor) notLeaving(sockets *socket.Set) *socket.Set {
	for _, l := range s.leaving {
		sockets = sockets.Without(l.sockets)
	}
	return sockets
}

// comeBack keeps the sockets of a revision that is wanted.
func (s *Supervisor) comeBack(r *revision) {
	s.leaving = slices.DeleteFunc(s.leaving, func(l *leaving) bool {
		l.sockets = l.sockets.Without(r.sockets)
		return l.sockets.Len() == 0
	})
}

// nextLeaving is when to look at sockets that are leaving; zero: none are.
func (s *Supervisor) nextLeaving() (next time.Time) {
	for _, l := range s.leaving {
		next = earlier(next, l.look)
	}
	return next
}

// closeLeaving closes the sockets that are given up once their queues are
// empty. A rollback may still want them back, so a reload has to be over.
func (s *Supervisor) closeLeaving() {
	now := time.Now()
	s.leaving = slices.DeleteFunc(s.leaving, func(l *leaving) bool {
		if l.look.After(now) {
			return false
		}
		if s.fleet.Reloading() || l.sockets.Queue() > 0 && now.Sub(l.since) < leaveAtMost {
			l.look = now.Add(leaveLook)
			return false
		}
		waiting := l.sockets.Queue() > 0
		if s.fleet.Stopping() && !waiting {
			l.look = now.Add(time.Hour) // the end closes them, for all who may hold a copy
			return false
		}
		closing := l.sockets.CloseForAll
		if !waiting && s.inUse(l.sockets) {
			closing = l.sockets.Close // to the event loop of a worker that drains the other is an error
		}
		if err := closing(); err != nil {
			s.log.Warn("cannot close a listener", zap.Error(err))
		}
		return true
	})
}
