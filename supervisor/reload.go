//go:build linux

package supervisor

import (
	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/develop"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
)

// reload loads the configuration and has the brain try it. Whatever is wrong with
// it is logged, and nothing changes.
func (s *Supervisor) reload(who ...*reloads.Waiter) {
	if s.fleet.Stopping() {
		s.log.Info("reload ignored: stopping")
		for _, w := range who {
			w.Tell(control.Reload{Result: control.RolledBack, Error: "the master is stopping"})
		}
		return
	}
	s.sockets.MendAll()
	s.reloads.Ask(who...)
}

// plan plans what a revision has to bind, beside what there is.
func (s *Supervisor) plan(r *revision.Revision) (*revision.Binding, error) {
	free := make(chan struct{})
	s.sockets.Do(func() {}, func() { close(free) })
	return r.Bind(revision.Held{
		Passed: s.sockets.Passed(), Sockets: append(s.revisions.Sockets(), s.sockets.Leaving()...), Admin: s.revisions.Admins(),
		Slots:   append(revision.FirstSlots(s.fleet.FloorWith(r.Settings())), s.fleet.Slots()...),
		PIDFile: s.files.PIDPath(), Control: s.endpoints.ControlIsAt(r.Config), Free: free,
	})
}

// try has the brain try a revision. It does not begin where a socket was closed meanwhile
// that the revision was to take over.
func (s *Supervisor) try(r *revision.Revision, b *revision.Binding) (begun bool, err error) {
	if r.Config.Log.AccessFile != "" { // whose file is opened when the revision is accepted
		if err := s.files.MakeAccess(); err != nil {
			return false, err
		}
	}
	if !b.Take() {
		return false, nil
	}
	r.Number = s.revisions.Last + 1
	s.limits.Move(r.Machine)               // lest its number of workers is another one for that alone, and what was scaled is lost
	r.Fit(s.fleet.FloorWith(r.Settings())) // an operator may have scaled it, which is known only here
	s.adopt(r)
	s.log.Info("reload started", zap.Int("revision", r.Number), zap.Strings("changed", config.Diff(s.revisions.Current.Config, r.Config)))
	r.Warn(s.log.Logger, s.revisions.Current)
	s.reloads.Start(r.Number)
	s.step(fleet.Reload{Revision: r.Number, Settings: r.Settings()})
	return true, nil
}

// endReload says how a reload ended, and why.
func (s *Supervisor) endReload(a fleet.EndReload) {
	go s.hands.trim() // of what only the reload needed
	result := control.Reload{Result: control.OK}
	switch a.Result {
	case fleet.Done:
		s.books.ReloadEnded(admin.Done)
		s.log.Info("reload done", zap.Int("revision", a.Revision))
	case fleet.Superseded:
		s.books.ReloadEnded(admin.Superseded)
		s.log.Info("reload superseded", zap.Int("revision", a.Revision))
		if !s.fleet.Stopping() {
			s.reloads.Follow(a.Revision, s.revisions.Last)
			return
		}
		result = reloads.Stopped()
	case fleet.RolledBack:
		s.books.ReloadEnded(admin.RolledBack)
		e, who := s.report.EndingOf(a.Culprit), zap.Int("worker", a.Culprit)
		if a.Loader {
			e, who = s.births.Loaders.Ending(a.Revision), zap.Bool("loader", true)
		}
		s.log.Error("reload rolled back", zap.Int("revision", a.Revision), who, zap.String("status", e.Status), zap.Strings("last_lines", e.Lines))
		result = control.Reload{Result: control.RolledBack, Error: e.Of(a.Culprit)}
	}
	s.reloads.End(a.Revision, result)
}

// project is what changes of files are followed for; nil: the master is stopping.
func (s *Supervisor) project() *develop.Project {
	if s.fleet.Stopping() {
		return nil
	}
	r := s.revisions.Current
	return &develop.Project{Config: r.Config, Dir: r.Resolved.Dir, Output: r.Resolved.Path, Find: r.Config.ResolveBuild}
}

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
