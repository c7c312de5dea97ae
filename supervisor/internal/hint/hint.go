//go:build linux

// Package hint says what people can do about an error: what the room that it comes
// from has to say, or what any system call may want.
package hint

import (
	"cmp"
	"errors"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/filewatch"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// Of is what to do about an error; "": nothing is known, or its text says it, as that
// of a *config.Error does.
func Of(err error) string {
	if e, ok := errors.AsType[*socket.Error](err); ok {
		return cmp.Or(e.Hint, lacking(err))
	}
	if e, ok := errors.AsType[*filewatch.Error](err); ok {
		return e.Hint
	}
	if _, ok := errors.AsType[*config.Error](err); ok {
		return ""
	}
	if e, ok := errors.AsType[*process.StartError](err); ok && e.Hint != "" {
		return e.Hint
	}
	return lacking(err)
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

// Fields are an error and what to do about it, for the log.
func Fields(err error) []zap.Field {
	if e, ok := errors.AsType[*config.Error](err); ok && e.Hint != "" {
		return []zap.Field{zap.String("error", e.Short()), zap.String("hint", e.Hint)}
	}
	if hint := Of(err); hint != "" {
		return []zap.Field{zap.Error(err), zap.String("hint", hint)}
	}
	return []zap.Field{zap.Error(err)}
}

// Text is an error and what to do about it, for people.
func Text(err error) string {
	if hint := Of(err); hint != "" {
		return err.Error() + " (" + hint + ")"
	}
	return err.Error()
}
