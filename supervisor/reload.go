//go:build linux

package supervisor

import (
	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/develop"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
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
	s.mend()
	p, superseded := s.reloads.Begin(who...)
	if superseded {
		s.log.Info("reload superseded before it began")
	}
	if p != nil {
		s.beginPreparation(p)
	}
}

// endReload says how a reload ended, and why.
func (s *Supervisor) endReload(a fleet.EndReload) {
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
			e, who = s.loaders.Ending(a.Revision), zap.Bool("loader", true)
		}
		s.log.Error("reload rolled back", zap.Int("revision", a.Revision), who, zap.String("status", e.Status), zap.Strings("last_lines", e.Lines))
		result = control.Reload{Result: control.RolledBack, Error: e.Of(a.Culprit)}
	}
	s.reloads.End(a.Revision, result)
	go s.hands.trim() // of what only the reload needed
}

// developing are the options of what follows files.
func developing(o Options) develop.Options {
	return develop.Options{Log: o.Log, Environ: o.Environ}
}

// startBuild has the process of a build made.
func (s *Supervisor) startBuild(spec process.Spec, told func(pid int, err error)) {
	s.makeOther(func() (int, error) { return process.Start(spec) }, told, func(end process.Status) {
		s.developed(s.development.Ended(end, s.project()))
	})
}

// project is what changes of files are followed for; nil: the master is stopping.
func (s *Supervisor) project() *develop.Project {
	if s.fleet.Stopping() {
		return nil
	}
	return &develop.Project{Config: s.revisions.Current.Config, Dir: s.revisions.Current.Resolved.Dir, Output: s.revisions.Current.Resolved.Path}
}

// developed follows what was edited, or built, with a reload if that is all there is
// to do.
func (s *Supervisor) developed(reload bool) {
	if s.development.Building() {
		s.leftovers.Shared = true // build tools leave servers of their own behind
	}
	if reload {
		s.reload()
	}
}

// watchFiles has the files of a configuration watched, for development; complaint is what
// is said if that fails.
func (s *Supervisor) watchFiles(c *config.Config, complaint string) {
	s.loop.Send(func() loop.Work {
		find := s.development.Find(c)
		if find == nil {
			return nil
		}
		return func() func() {
			follow, err := find()
			if err != nil {
				return func() { s.log.Error(complaint, hint.Fields(err)...) }
			}
			return follow
		}
	})
}
