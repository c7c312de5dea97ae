//go:build linux

package supervisor

import (
	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/develop"
	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/pidfile"
)

// moveFiles has the master's own files be those of another configuration, which
// is accepted.
func (s *Supervisor) moveFiles(c *config.Config) {
	complain := func(what string, err error) func() {
		return func() {
			if err != nil {
				s.log.Error("cannot change "+what, describe(err)...)
			}
		}
	}
	if logs := s.options.Logs; logs != nil {
		s.loop.Send(func() loop.Work {
			return func() func() { return complain("the log", logs.Apply(c.Log)) }
		})
	}
	s.loop.Send(func() loop.Work {
		access := s.access
		if c.Log.AccessFile == "" || access == nil {
			return nil
		}
		return func() func() { return complain("the access log", access.Move(c.Log.AccessFile)) }
	})
	s.loop.Send(func() loop.Work {
		if s.pidfile.Path() == c.PIDFile {
			return nil
		}
		before := s.pidfile
		return func() func() {
			next, err := pidfile.Open(c.PIDFile)
			if err != nil {
				return complain("the pid file", err)
			}
			before.Close()
			return func() { s.pidfile = next }
		}
	})
	s.loop.Send(func() loop.Work {
		if s.endpoints.Controls(c) {
			return nil
		}
		return func() func() {
			bound, err := endpoints.BindControl(c, s.options.Environ)
			return func() { complain("the control socket", s.endpoints.MoveControl(c, bound, err))() }
		}
	})
}

// developing are the options of what follows files.
func developing(o Options) develop.Options {
	return develop.Options{Log: o.Log, Describe: describe, Environ: o.Environ}
}

// project is what changes of files are followed for; nil: the master is stopping.
func (s *Supervisor) project() *develop.Project {
	if s.fleet.Stopping() {
		return nil
	}
	return &develop.Project{Config: s.current.config, Dir: s.current.resolved.Dir, Output: s.current.resolved.Path}
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
				return func() { s.log.Error(complaint, describe(err)...) }
			}
			return follow
		}
	})
}

// reopen opens the log files anew, after somebody moved them.
func (s *Supervisor) reopen() {
	if s.reopening {
		return
	}
	s.reopening = true
	s.loop.Send(func() loop.Work {
		s.reopening = false
		logs, access := s.options.Logs, s.access
		return func() func() {
			var logErr, accessErr error
			if logs != nil {
				logErr = logs.Reopen()
			}
			if access != nil {
				accessErr = access.Reopen()
			}
			return func() {
				if logErr != nil {
					s.log.Error("cannot reopen the log", zap.Error(logErr))
				}
				if accessErr != nil {
					s.log.Error("cannot reopen the access log", zap.Error(accessErr))
				}
			}
		}
	})
}

// closeAccess closes the access log, which no worker has any more.
func (s *Supervisor) closeAccess() {
	access, lost := s.access, s.access.Lost()
	s.access = nil
	s.books.LoseLines(lost)
	s.loop.Send(func() loop.Work {
		return func() func() {
			access.Close()
			return func() {
				s.books.LoseLines(access.Lost() - lost)
				s.reportLost(access.Lost())
			}
		}
	})
}

func (s *Supervisor) reportLost(lines uint64) {
	if lines > 0 {
		s.log.Warn("lines of the access log were lost", zap.Uint64("lines", lines))
	}
}
