//go:build linux

package supervisor

import (
	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
)

// adopt makes the revision known, and wants its sockets.
func (s *Supervisor) adopt(r *revision.Revision) {
	s.revisions.Add(r)
	s.sockets.Want(r.Sockets)
}

// forget drops revisions that no worker can have any more, with what no other shares.
func (s *Supervisor) forget() {
	if len(s.revisions.All) == 1 {
		return // which is in force
	}
	for _, r := range s.revisions.Drop(s.fleet.Revisions()) {
		s.births.Loaders.Forget(r.Number)
		r.CloseTLS()
		s.sockets.Drop(r.Sockets, s.revisions.Sockets())
		s.endpoints.CloseAdmin(r.Admin, s.revisions.Admins()...)
	}
	if !s.revisions.LogAccess() {
		s.files.CloseAccess()
	}
}

// apply puts the settings of a revision into force.
func (s *Supervisor) apply(a fleet.Apply) {
	before, r := s.revisions.Current, s.revisions.All[a.Revision]
	s.revisions.Current = r
	if err := s.sockets.Enforce(r.Sockets, r.SocketOptions(), s.sockets.ReplaceHolders); err != nil {
		s.log.Error("cannot listen", zap.Error(err))
	}
	s.endpoints.OpenAdmin(r.Admin, r.Config)
	s.development.Watch(r.Config, "cannot watch other files")
	s.files.Move(r.Config)
	s.postmortems.Archive.Open()
	s.endpoints.MoveControl(r.Config)
	s.loop.Afterwards(func() {
		s.log.Info("configuration in force", zap.Int("generation", a.Generation), zap.String("reason", string(a.Reason)), zap.Strings("bind", r.Binds()))
	})
	for w := range s.fleet.Workers() {
		if a.Reason == fleet.ReasonReload && w.Revision == r.Number && w.State == fleet.Ready { // its only one, which was no restart before
			s.books.Restarted(w.Slot, fleet.ReasonReload)
			break
		}
	}
	if a.Reason == fleet.ReasonRollback && before != r {
		r.WarnOverwritten(s.loop, s.log.Logger)
	}
}
