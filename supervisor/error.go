//go:build linux

package supervisor

import (
	"cmp"
	"errors"
	"io"
	"os"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/books"
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
	if e, ok := errors.AsType[*socket.Error](err); ok {
		return &Error{Err: err, Hint: cmp.Or(e.Hint, lacking(err))}
	}
	if e, ok := errors.AsType[*filewatch.Error](err); ok {
		return &Error{Err: err, Hint: e.Hint}
	}
	if _, ok := errors.AsType[*config.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*process.StartError](err); ok && e.Hint != "" {
		return &Error{Err: err, Hint: e.Hint}
	}
	return &Error{Err: err, Hint: lacking(err)}
}

// lacking is a hint for what any system call may want.
func lacking(err error) string {
	switch {
	case errors.Is(err, unix.EMFILE):
		return process.OutOfFiles
	case errors.Is(err, unix.ENFILE):
		return process.OutOfFilesAll
	}
	return ""
}

// describe makes log fields of an error that may carry a hint.
func describe(err error) []zap.Field {
	if e, ok := errors.AsType[*config.Error](err); ok && e.Hint != "" {
		return []zap.Field{zap.String("error", e.Short()), zap.String("hint", e.Hint)}
	}
	if hint := hintOf(err); hint != "" {
		return []zap.Field{zap.Error(err), zap.String("hint", hint)}
	}
	return []zap.Field{zap.Error(err)}
}

// hintOf is what to do about an error; may be "".
func hintOf(err error) string {
	if e, ok := public(err).(*Error); ok {
		return e.Hint
	}
	return ""
}

// inWords is an error with its hint, for people.
func inWords(err error) string {
	if hint := hintOf(err); hint != "" {
		return err.Error() + " (" + hint + ")"
	}
	return err.Error()
}

// NewOutput returns a writer for the master's stdout or stderr, for its own log and
// for what workers write: a reader that is gone is an error and does not end the
// process, and one that is slow is waited for.
func NewOutput(stderr *os.File) io.Writer { return process.NewOutput(stderr) }
