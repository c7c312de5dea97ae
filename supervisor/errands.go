//go:build linux

package supervisor

import (
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/pidfile"
)

// An errand is something about the master's own files, which may take as long as
// their file system does. It begins on the loop, when all errands before it are
// over, and returns what another goroutine is to do (nil: nothing); what that
// returns is done on the loop again.
type errand func() (work func() (then func()))

// errands are those to be done.
type errands struct {
	waiting []errand
	busy    bool
	reopen  bool // one that waits is that of SIGUSR1, and one is enough
}

// send has an errand done, at once if there is nothing to wait for.
func (s *Supervisor) send(e errand) {
	s.errands.waiting = append(s.errands.waiting, e)
	if !s.errands.busy {
		s.nextErrand()
	}
}

// nextErrand begins the next one that takes a goroutine.
func (s *Supervisor) nextErrand() {
	d := &s.errands
	for d.busy = true; len(d.waiting) > 0; {
		begin := d.waiting[0]
		d.waiting = d.waiting[1:]
		if work := begin(); work != nil {
			go func() {
				then := work()
				s.askAnyway(func() {
					then()
					s.nextErrand()
				})
			}()
			return
		}
	}
	d.busy = false
}

// afterErrands has something done when all errands up to now are over.
func (s *Supervisor) afterErrands(do func()) {
	s.send(func() func() func() {
		do()
		return nil
	})
}

// endErrands waits for those under way, as the master ends, but not for a file
// system that does not answer.
func (s *Supervisor) endErrands() {
	limit := time.NewTimer(answerTime)
	defer limit.Stop()
	for s.errands.busy {
		select {
		case do := <-s.asks:
			do()
		case <-limit.C:
			return
		}
	}
}

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
		s.send(func() func() func() {
			return func() func() { return complain("the log", logs.Apply(c.Log)) }
		})
	}
	s.send(func() func() func() {
		access := s.access
		if c.Log.AccessFile == "" || access == nil {
			return nil
		}
		return func() func() { return complain("the access log", access.Move(c.Log.AccessFile)) }
	})
	s.send(func() func() func() {
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
	s.send(func() func() func() {
		p := placeOf(c)
		if s.controls.are(p, s.options.Environ) {
			return nil
		}
		return func() func() {
			opened, err := openSocket(p, s.options.Environ)
			return func() { complain("the control socket", s.moveControl(c, opened, err))() }
		}
	})
}

// watchFiles has the files of a configuration watched, for development; complaint is what
// is said if that fails.
func (s *Supervisor) watchFiles(c *config.Config, complaint string) {
	s.send(func() func() func() {
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
	if s.errands.reopen {
		return
	}
	s.errands.reopen = true
	s.send(func() func() func() {
		s.errands.reopen = false
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
	s.send(func() func() func() {
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
