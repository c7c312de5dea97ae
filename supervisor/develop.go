//go:build linux

package supervisor

import (
	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/develop"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

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
