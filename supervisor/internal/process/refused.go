//go:build linux

package process

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// StartError says why no process came to be, and what to do about it.
type StartError struct {
	Err  error
	Hint string // one sentence, lower case, no period; may be ""
}

func (e *StartError) Error() string { return "cannot start worker: " + e.Err.Error() }

func (e *StartError) Unwrap() error { return e.Err }

// maxString is the longest argument or environment entry that execve(2) takes, its
// NUL left out: MAX_ARG_STRLEN of linux/binfmts.h, 32 pages.
func maxString() int { return 32*os.Getpagesize() - 1 }

// refused explains why the shim, which is given what the worker will have, could
// not be started.
func (s *Spec) refused(exe string, environ []string, err error) *StartError {
	e := &StartError{Err: fmt.Errorf("cannot execute %s: %w", exe, err)}
	switch {
	case errors.Is(err, unix.E2BIG):
		s.explainSize(e, environ, err)
	case errors.Is(err, unix.ENOENT):
		e.Hint = NeedsProc
	case errors.Is(err, unix.EMFILE):
		e.Hint = OutOfFiles
	case errors.Is(err, unix.ENFILE):
		e.Hint = OutOfFilesAll
	case errors.Is(err, unix.EAGAIN):
		e.Hint = "the limit of processes is reached: of the user (ulimit -u), or of the cgroup (pids.max; TasksMax= in systemd, --pids-limit in docker)"
	}
	return e
}

// Hints for what any part of the master may run into.
const (
	NeedsProc     = "gosuper starts workers by /proc/self/exe and sees in /proc which processes belong to them: mount it, mount -t proc proc /proc"
	OutOfFiles    = "the master has no descriptors left: start it with a higher limit, ulimit -Hn (LimitNOFILE= in systemd, --ulimit nofile= in docker); limits.nofile is that of the workers"
	OutOfFilesAll = "the whole system has no descriptors left: sysctl fs.file-max"
)

// explainSize names what is too long for the kernel. Names are told and values are
// not: they may be secrets.
func (s *Spec) explainSize(e *StartError, environ []string, err error) {
	total := 0
	for _, entry := range environ {
		total += len(entry) + 1
	}
	// The entries of the shim's own have a number in front, which counts.
	extra := len(fmt.Sprint(len(environ))) + len("=")
	for _, entry := range s.Env {
		if len(entry)+extra <= maxString() {
			continue
		}
		name, _, _ := strings.Cut(entry, "=")
		e.Err = fmt.Errorf("the environment variable %.100q has %d bytes with its name: %w", name, len(entry), err)
		e.Hint = fmt.Sprintf("the kernel takes %d in one variable (MAX_ARG_STRLEN), of which gosuper needs %d: put it into a file, or keep it from the workers", maxString(), extra)
		return
	}
	for i, argument := range s.Argv {
		if len(argument)+extra > maxString() {
			e.Err = fmt.Errorf("argument %d of the command has %d bytes: %w", i, len(argument), err)
			e.Hint = fmt.Sprintf("the kernel takes %d in one argument (MAX_ARG_STRLEN), of which gosuper needs %d: put it into a file", maxString(), extra)
			return
		}
	}
	e.Err = fmt.Errorf("the command and the environment together have %d bytes: %w", total, err)
	e.Hint = "the kernel takes a quarter of the limit of the stack, and at most 6 MiB (ulimit -s, execve(2)): fewer or shorter variables"
}
