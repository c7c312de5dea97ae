//go:build linux

// Package ownfiles keeps the files that a master itself writes: its log, the access
// log of its workers and the pid file. They go where the configuration in force says,
// and are opened anew after somebody has moved them.
//
// All of that may take as long as a file system does, so the loop of the master sends
// a goroutine for it (package loop), one thing after the other.
package ownfiles

import (
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/pidfile"
)

// Log is the log of the master. Its methods are called by one goroutine at a time.
type Log interface {
	// Apply puts other settings into force; on error the old ones stay.
	Apply(config.Log) error
	// Reopen opens the file anew, after it was renamed.
	Reopen() error
}

// Options are what files need.
type Options struct {
	// Loop is that of their owner.
	Loop *loop.Loop
	// Log is the destination of Logger; nil: it stays where it is.
	Log    Log
	Logger *zap.Logger
	// Turns is how lines of the access log take turns with others on a stream.
	Turns func(stream string) accesslog.Turn
	// Lost gets the lines that an access log has lost which is closed.
	Lost func(lines uint64)
}

// Files are those of one master. They belong to the owner of the loop, and are of use
// after [Files.Attach].
type Files struct {
	options   Options        `state:"-"`
	access    *accesslog.Log `state:"access_log"` // nil: there is none
	pid       *pidfile.File  `state:"pidfile"`
	reopening bool           `state:"-"` // when what was sent before is over
}

// Attach says what the files work with.
func (f *Files) Attach(o Options) { f.options = o }

// Access is the access log; nil: there is none.
func (f *Files) Access() *accesslog.Log { return f.access }

// MakeAccess makes an access log if there is none, which goes nowhere yet.
func (f *Files) MakeAccess() error {
	if f.access != nil {
		return nil
	}
	l, err := accesslog.New(f.trouble)
	if err != nil {
		return err
	}
	l.Share(f.options.Turns)
	f.access = l
	return nil
}

// OpenAccess opens the access log with which a master starts; "": it has none.
func (f *Files) OpenAccess(path string) error {
	if path == "" {
		return nil
	}
	if err := f.MakeAccess(); err != nil {
		return err
	}
	return f.access.Move(path)
}

// Resume goes on with the files of another image of this process, or with an access log
// that is given as it was left by a version of another kind; nil: it was not. What cannot
// be gone on with is said, and there is none.
func (f *Files) Resume(older *accesslog.Shared) {
	if f.pid != nil {
		f.pid.Reopen()
	}
	if older != nil {
		f.access = older.Own()
	}
	if f.access == nil {
		return
	}
	f.access.Share(f.options.Turns)
	if err := f.access.Continue(f.trouble); err != nil {
		f.options.Logger.Error("cannot go on with the access log", zap.Error(err))
		f.access = nil
	}
}

// trouble is what an access log says that cannot write.
func (f *Files) trouble(err error) {
	f.options.Logger.Warn("lines of the access log are lost", zap.Error(err))
}

// AccessLost is how many lines the access log has lost.
func (f *Files) AccessLost() uint64 {
	if f.access == nil {
		return 0
	}
	return f.access.Lost()
}

// CloseAccess closes the access log, if there is one, which no worker has any more.
func (f *Files) CloseAccess() {
	if f.access == nil {
		return
	}
	access, lost := f.access, f.access.Lost()
	f.access = nil
	f.options.Lost(lost)
	f.options.Loop.Send(func() loop.Work {
		return func() func() {
			access.Close()
			return func() {
				f.options.Lost(access.Lost() - lost)
				f.reportLost(access.Lost())
			}
		}
	})
}

// EndAccess closes the access log at the end of the master.
func (f *Files) EndAccess() {
	if f.access != nil {
		f.access.Close()
		f.reportLost(f.access.Lost())
	}
}

func (f *Files) reportLost(lines uint64) {
	if lines > 0 {
		f.options.Logger.Warn("lines of the access log were lost", zap.Uint64("lines", lines))
	}
}

// OpenPID takes the pid file with which a master starts; "": it has none.
func (f *Files) OpenPID(path string) (err error) {
	f.pid, err = pidfile.Open(path)
	return err
}

// PIDPath is where the pid file is; "": there is none.
func (f *Files) PIDPath() string { return f.pid.Path() }

// ClosePID gives the pid file up. Its file system is waited for so long at most.
func (f *Files) ClosePID(atMost time.Duration) { loop.Within(atMost, f.pid.Close) }

// Move has the files be where a configuration wants them that was accepted. What
// cannot be is said, and stays where it was.
func (f *Files) Move(c *config.Config) {
	send := f.options.Loop.Send
	if log := f.options.Log; log != nil {
		send(func() loop.Work {
			return func() func() { return f.complaint("the log", log.Apply(c.Log)) }
		})
	}
	send(func() loop.Work {
		access := f.access
		if c.Log.AccessFile == "" || access == nil {
			return nil
		}
		return func() func() { return f.complaint("the access log", access.Move(c.Log.AccessFile)) }
	})
	send(func() loop.Work {
		before := f.pid
		if before.Path() == c.PIDFile {
			return nil
		}
		return func() func() {
			next, err := pidfile.Open(c.PIDFile)
			if err != nil {
				return f.complaint("the pid file", err)
			}
			before.Close()
			return func() { f.pid = next }
		}
	})
}

// complaint says that something could not be changed; without an error it says
// nothing.
func (f *Files) complaint(what string, err error) func() {
	return func() {
		if err != nil {
			f.options.Logger.Error("cannot change "+what, hint.Fields(err)...)
		}
	}
}

// Reopen opens the files of the logs anew, after somebody moved them. While that waits
// for something else once is enough.
func (f *Files) Reopen() {
	if f.reopening {
		return
	}
	f.reopening = true
	f.options.Loop.Send(func() loop.Work {
		f.reopening = false
		log, access := f.options.Log, f.access
		return func() func() {
			var logErr, accessErr error
			if log != nil {
				logErr = log.Reopen()
			}
			if access != nil {
				accessErr = access.Reopen()
			}
			return func() {
				if logErr != nil {
					f.options.Logger.Error("cannot reopen the log", zap.Error(logErr))
				}
				if accessErr != nil {
					f.options.Logger.Error("cannot reopen the access log", zap.Error(accessErr))
				}
			}
		}
	})
}
