package supervisor

import (
	"errors"
	"io"
	"os"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/filewatch"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

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
	Worker int      // id of the worker after which the master gave up
	Status string   // how it ended
	Lines  []string // its last lines on stderr
}

func (e *BootError) Error() string {
	return "the first workers could not boot: " + epitaph{e.Status, e.Lines}.of(e.Worker)
}

// public makes an error of the rooms below one that callers of this package
// can look into.
func public(err error) error {
	if e, ok := errors.AsType[*socket.Error](err); ok {
		return &Error{Err: err, Hint: e.Hint}
	}
	if e, ok := errors.AsType[*filewatch.Error](err); ok {
		return &Error{Err: err, Hint: e.Hint}
	}
	if _, ok := errors.AsType[*config.Error](err); ok {
		return err
	}
	return &Error{Err: err}
}

// describe makes log fields of an error that may carry a hint.
func describe(err error) []zap.Field {
	if e, ok := errors.AsType[*config.Error](err); ok && e.Hint != "" {
		return []zap.Field{zap.String("error", e.Short()), zap.String("hint", e.Hint)}
	}
	if e, ok := public(err).(*Error); ok && e.Hint != "" {
		return []zap.Field{zap.Error(err), zap.String("hint", e.Hint)}
	}
	return []zap.Field{zap.Error(err)}
}

// inWords is an error with its hint, for people.
func inWords(err error) string {
	if e, ok := public(err).(*Error); ok && e.Hint != "" {
		return e.Error() + " (" + e.Hint + ")"
	}
	return err.Error()
}

// NewOutput returns a writer for the master's stderr, for its own log and for
// what workers write: a reader that is gone is an error and does not end the
// process, and one that is slow is waited for.
func NewOutput(stderr *os.File) io.Writer { return process.NewOutput(stderr) }
