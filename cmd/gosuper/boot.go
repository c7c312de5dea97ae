//go:build linux

package main

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/files"
	_ "github.com/gosuper/gosuper/worker/proxy" // a worker of that class is this program
)

// masterCommands are those about a running master, and what writes the manual, for
// packages that have one.
func (a *app) masterCommands(root *cobra.Command) []*cobra.Command {
	return []*cobra.Command{
		a.newStatus(), a.newTop(), a.newIncidents(), a.newReload(), a.newScale(), a.newRecycle(), a.newStop(), a.newUpgrade(), a.newHealth(),
		a.newMan(root),
	}
}

// openInput opens what the configuration is read from.
func openInput(path string) (*os.File, error) { return files.OpenInput(path) }

// supervise runs the master until it ends.
func (a *app) supervise(source config.Source) error {
	inheritance, err := supervisor.Inherited()
	if err != nil {
		return err
	}
	var c *config.Config
	var warnings []string
	var program supervisor.Program
	if inheritance != nil {
		// Whatever the files say by now: workers were accepted with this.
		c, program = inheritance.Config(), inheritance.Program()
		source.Dir = c.Dir
	} else {
		source = source.Once()
		if c, warnings, err = config.Load(source); err != nil {
			return err
		}
		program = a.program(c.Dir)
	}
	source.Program = program.Path
	streams := newStreams(a.environ)
	if inheritance != nil && inheritance.Torn() {
		for _, s := range streams.each() {
			s.at = inLine
		}
	}
	logs, err := openLogs(c.Log, streams)
	if err != nil && inheritance != nil {
		logs, err = logsOnStderr(c.Log, streams, err)
	}
	if err != nil {
		return err
	}
	s, err := supervisor.New(supervisor.Options{
		Config:      c,
		Warnings:    warnings,
		Reconfigure: func() (*config.Config, []string, error) { return config.Load(source) },
		Environ:     a.environ,
		Log:         logs.Logger(),
		Logs:        logs,
		Streams:     streams,
		Version:     version(),
		Program:     program,
		Inheritance: inheritance,
	})
	switch {
	case err == nil:
		err = s.Run()
	case errors.Is(err, supervisor.ErrStopped):
		err = nil
	default:
		err = a.whose(err)
	}
	logs.Close()
	for _, s := range streams.each() {
		if err != nil || s.terminal {
			deliver(s, "") // what comes now begins a line
		}
	}
	return err
}

// find says what a configuration means on this machine: what was chosen where a
// key leaves it to gosuper, by its name, and what does not fit.
func (a *app) find(c *config.Config) (chosen map[string]string, warnings []string, err error) {
	here, err := supervisor.Check(c)
	if err != nil {
		return nil, nil, err
	}
	return here.Chosen, slices.Concat(here.Warnings, budget(c, a.environ)), nil
}

// masterStatus is the exit status that stands for an error of the master, or of
// the search for one.
func masterStatus(err error) (code int, ok bool) {
	switch {
	case as[unhealthy](err):
		return exitRuntime, true
	case as[*supervisor.BootError](err):
		return exitBoot, true
	}
	return 0, false
}

// masterHint finds the error of the master, or of a client of it, in another one,
// and what to do about it; nil: there is none.
func masterHint(err error) (hint string, found error) {
	if e, ok := errors.AsType[*supervisor.Error](err); ok {
		return e.Hint, e
	}
	if e, ok := errors.AsType[*supervisor.BootError](err); ok {
		return bootHint(e), e
	}
	if e, ok := errors.AsType[several](err); ok {
		return e.hint(), e
	}
	if e, ok := errors.AsType[*control.Error](err); ok {
		return e.Hint, e
	}
	if e, ok := errors.AsType[*control.Unreachable](err); ok {
		return e.Hint, e
	}
	return "", nil
}

// bootHint recognises the two mistakes that nearly everybody makes: a program
// that binds its address itself, which the master already has, and one that becomes
// a daemon.
func bootHint(e *supervisor.BootError) string {
	if hint := startingHint(e.Lines); hint != "" && strings.Contains(e.Status, "within startup_timeout") {
		return hint
	}
	if strings.Contains(e.Status, "no socket that it was given") {
		return "the command must serve the socket it inherits, fd 3 (uvicorn: --fd 3); a program that serves nothing needs ready = \"1s\""
	}
	if e.Hint != "" {
		return e.Hint
	}
	if strings.HasPrefix(e.Status, "no READY=1 ") {
		return `a worker says READY=1 to NOTIFY_SOCKET (sd_notify(3)) when it can serve; for one that never does, ready = "auto" or a time such as ready = "5s"`
	}
	if hint := pythonHint(e.Lines); hint != "" {
		return hint
	}
	told := false // what went wrong: a shell that does not exec ends with 0 all the same
	for _, line := range e.Lines {
		line = strings.ToLower(line)
		told = told || strings.Contains(line, "error") || strings.Contains(line, "cannot")
		if strings.Contains(line, "address already in use") || strings.Contains(line, "eaddrinuse") {
			return "gosuper has bound the address already: the command must serve the socket it inherits, fd 3 (uvicorn: --fd 3; node: --import gosuper/register), or get a port of its own by -k proxy and {port} in the command; see gosuper help protocol"
		}
	}
	if e.Status == "exit status 0" && !told {
		return "it ended without an error, as a server does that puts itself into the background: the command must stay in the foreground"
	}
	return ""
}
