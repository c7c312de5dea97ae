//go:build linux

package supervisor

import (
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// leave prepares the retirement of a worker that has sockets which the current
// revision has not: those on which no other worker accepts any more are leaving,
// and the worker is told so.
func (s *Supervisor) leave(w *roster.Worker) {
	if !s.fleet.Closed() {
		s.sockets.GiveUp(s.unserved(w.Rev.Sockets.Without(s.revisions.Current.Sockets)))
	}
	var bits uint64
	for _, set := range s.sockets.Leaving() {
		bits |= w.Rev.Sockets.Bits(set.Own())
	}
	if bits != 0 {
		w.View().SetLeaving(bits)
	}
}

// unserved are those of the sockets that no worker has whom nobody told to finish.
func (s *Supervisor) unserved(sockets *socket.Set) *socket.Set {
	for w := range s.fleet.Workers() {
		if w.State == fleet.Starting || w.State == fleet.Ready {
			sockets = sockets.Without(s.revisions.All[w.Revision].Sockets)
		}
	}
	return sockets
}

// lookAfterSockets closes what nobody waits in any more, and mends what could not be
// mended before.
func (s *Supervisor) lookAfterSockets(now time.Time) {
	s.sockets.Close(now, socket.Use{Wanted: s.fleet.Reloading(), Ending: s.fleet.Stopping(), By: func(sockets *socket.Set) bool {
		for range s.roster.Holders(sockets) {
			return true
		}
		return false
	}})
	if look := s.sockets.Look(); !look.IsZero() && !look.After(now) {
		s.mend()
	}
}

// mend looks whether the sockets of the workers still take connections, and sees to
// it that they do. ended are the workers that have just gone, one of which is to
// blame if they do not.
func (s *Supervisor) mend(ended ...*roster.Worker) {
	if s.fleet.Closed() {
		return
	}
	var ids []int
	for _, w := range ended {
		ids = append(ids, w.ID)
	}
	s.sockets.Mend(time.Now(), s.revisions.Sockets(), func(renewed *socket.Set, mended []socket.Damage, err error) {
		for _, d := range mended {
			fields := []zap.Field{zap.String("bind", d.URL), zap.String("problem", d.What)}
			if len(ids) > 0 {
				fields = append(fields, zap.Ints("ended", ids))
			}
			s.log.Warn("a socket that all workers share took no more connections, and does again", fields...)
		}
		if err != nil {
			s.log.Error("cannot mend a socket", hint.Fields(err)...)
		}
		s.replaceHolders(renewed)
	})
}

// replaceHolders replaces the workers that were given what is renewed by now.
func (s *Supervisor) replaceHolders(renewed *socket.Set) {
	for w := range s.roster.Holders(renewed) {
		s.note(fleet.Recycle{ID: w.ID, Reason: fleet.ReasonRecycle})
	}
	s.step()
}

// endPaths waits until what is to be done to the paths of sockets is done, but not for
// a file system that does not answer.
func (s *Supervisor) endPaths() {
	limit := time.NewTimer(endpoints.AnswerTime)
	defer limit.Stop()
	for s.sockets.Busy() {
		select {
		case do := <-s.loop.C:
			do()
		case <-limit.C:
			return
		}
	}
}
