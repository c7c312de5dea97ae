//go:build linux

package supervisor

import (
	"errors"
	"io"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/develop"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
)

// Options is what a master needs to run. All fields but Reconfigure and Logs
// are required.
type Options struct {
	// Config is the configuration to start with.
	Config *config.Config
	// Warnings are what Load had to say about it.
	Warnings []string
	// Reconfigure loads the configuration again, for a reload; nil: a reload
	// replaces the workers and changes nothing. It may take long, and may be called
	// by several goroutines at a time.
	Reconfigure func() (*config.Config, []string, error)
	// Environ is the environment of the master, from which workers get theirs.
	Environ []string
	// Log gets one line for each step in the life of master and workers.
	Log *zap.Logger
	// Logs moves the log when the configuration says so; nil: it stays.
	Logs Logs
	// Streams are where the output of workers goes.
	Streams Streams
	// Version is told to whoever asks.
	Version string
	// Program is how this program was started, and what an upgrade in place
	// starts; the zero value: there are no upgrades.
	Program Program
	// Inheritance is what the image before this one left, and Config is its
	// configuration then; nil: there was none.
	Inheritance *Inheritance
}

// Program is how this program was started.
type Program struct {
	// Path is its file, absolute, with symlinks as they were: what they mean is
	// found out when a new version is wanted.
	Path string `json:"path"`
	// Args are its arguments, argv[0] included.
	Args []string `json:"args"`
}

// turns is how the access log takes turns on a stream.
func (o *Options) turns(stream string) accesslog.Turn { return o.Streams.Turn(Stream(stream)) }

// prepare sees to what a master needs of this process and of the system before it
// begins: workers are kept out of its memory and its descriptors, and what is to be
// built first is.
func (o *Options) prepare() error {
	if err := process.Conceal(); err != nil {
		o.Log.Warn("workers without a user of their own can read and trace the master", zap.Error(err))
	}
	if o.Inheritance != nil {
		return nil
	}
	if err := process.CheckSystem(); err != nil {
		return public(err)
	}
	if err := develop.BuildFirst(o.Config, o.Environ, o.Log); err != nil {
		return public(err)
	}
	return nil
}

// Logs is the destination of the log. Its methods are called by one goroutine at a
// time and may take as long as the file system does.
type Logs interface {
	// Apply puts other settings into force; on error the old ones stay.
	Apply(config.Log) error
	// Reopen opens the log file anew, after it was renamed.
	Reopen() error
	// Waiting is how many lines nobody has taken yet.
	Waiting() int
}

// Stream is one of the outputs of a worker, or both as one pipe.
type Stream = process.Stream

// The streams.
const (
	Stdout = process.Stdout
	Stderr = process.Stderr
	Both   = process.Both
)

// Streams are stdout and stderr of the master, to which the log and all workers
// write. Its methods may be called by any goroutine.
type Streams interface {
	// Worker returns what a stream of the worker with that id is written to, or of
	// what some worker left behind: 0. It may be a [process.Flusher]. Both is for a
	// worker that has one pipe as both, and goes where Stderr goes.
	Worker(id int, stream Stream) io.Writer
	// Joined reports that both go to the same place.
	Joined() bool
	// Turn is how lines of the access log take turns with all that; nil: there is
	// nothing else.
	Turn(Stream) func(atMost time.Duration) (before []byte, done func(wrote, whole bool), ok bool)
}

// NewOutput returns a writer for the master's stdout or stderr, for its own log and
// for what workers write: a reader that is gone is an error and does not end the
// process, and one that is slow is waited for.
func NewOutput(stderr *os.File) io.Writer { return process.NewOutput(stderr) }

// Findings are what a configuration means on this machine.
type Findings = revision.Findings

// Check says whether a master could start with the configuration, as far as
// that can be told without binding an address. The error is a *config.Error.
func Check(c *config.Config) (Findings, error) { return revision.Check(c) }

// ErrStopped says that the master was told to stop before it had all that it needs.
var ErrStopped = errors.New("stopped before the first workers were started")

// Error is a failure of the system: an address that cannot be bound, a pid
// file that is held.
type Error struct {
	Err  error
	Hint string // what to do about it; may be ""
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// BootError says that the first workers could not boot.
type BootError struct {
	Worker int      // id of the worker after which the master gave up; 0: it was the loader
	Status string   // how it ended
	Lines  []string // the last that it wrote
	Hint   string   // what to do about it; may be ""
}

func (e *BootError) Error() string {
	if e.Worker == 0 {
		return "the application could not be loaded: " + books.Ending{Status: e.Status, Lines: e.Lines}.Of(0)
	}
	return "the first workers could not boot: " + books.Ending{Status: e.Status, Lines: e.Lines}.Of(e.Worker)
}

// public makes an error of the rooms below one that callers of this package
// can look into.
func public(err error) error {
	if errors.Is(err, ErrStopped) {
		return ErrStopped
	}
	if _, ok := errors.AsType[*config.Error](err); ok {
		return err
	}
	return &Error{Err: err, Hint: hint.Of(err)}
}
