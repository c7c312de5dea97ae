//go:build linux

package supervisor

import (
	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// adopt makes the revision known, and wants its sockets.
func (s *Supervisor) adopt(r *revision.Revision) {
	s.revisions.Add(r)
	s.sockets.Want(r.Sockets)
}

// forget drops revisions that no worker can have any more, with the sockets
// that nobody else has.
func (s *Supervisor) forget() {
	if len(s.revisions.All) == 1 {
		return // which is in force
	}
	for _, r := range s.revisions.Drop(s.fleet.Revisions()) {
		s.births.Loaders.Forget(r.Number)
		s.discard(r)
	}
	if !s.revisions.LogAccess() {
		s.files.CloseAccess()
	}
}

// discard gives back what a revision has and no other shares.
func (s *Supervisor) discard(r *revision.Revision) {
	r.CloseTLS()
	s.sockets.Drop(r.Sockets, s.revisions.Sockets())
	s.closeAdmin(r.Admin)
}

// closeAdmin closes those of the sockets that no revision has any more.
func (s *Supervisor) closeAdmin(sockets *socket.Set) {
	for _, other := range s.revisions.Admins() {
		sockets = sockets.Without(other)
	}
	s.endpoints.CloseAdmin(sockets)
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
	s.moveControl(r.Config)
	s.loop.Afterwards(func() {
		s.log.Info("configuration in force", zap.Int("generation", a.Generation), zap.String("reason", string(a.Reason)), zap.Strings("bind", r.Binds()))
	})
	if a.Reason == fleet.ReasonRollback && before != r {
		s.warnOverwritten(r)
	}
}

// moveControl has the control socket be where a configuration wants it that was
// accepted.
func (s *Supervisor) moveControl(c *config.Config) {
	s.loop.Send(func() loop.Work {
		if s.endpoints.ControlIsAt(c) {
			return nil
		}
		return func() func() {
			bound, err := endpoints.BindControl(c, s.options.Environ)
			return func() {
				if err := s.endpoints.MoveControl(c, bound, err); err != nil {
					s.log.Error("cannot change the control socket", hint.Fields(err)...)
				}
			}
		}
	})
}

// warnOverwritten says if a revision that is in force again is not what it was.
func (s *Supervisor) warnOverwritten(r *revision.Revision) {
	s.loop.Send(func() loop.Work {
		return func() func() {
			overwritten := r.Overwritten()
			return func() {
				if overwritten {
					s.log.Warn("the executable was overwritten: workers started from now on run the new file; deploy to versioned folders behind a symlink", zap.String("path", r.Resolved.Path))
				}
			}
		}
	})
}
