//go:build linux

package supervisor

import (
	"errors"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
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
	if _, ok := errors.AsType[*config.Error](err); ok {
		return err
	}
	return &Error{Err: err, Hint: hint.Of(err)}
}
