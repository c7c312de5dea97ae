package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor"
	"github.com/gosuper/gosuper/supervisor/control"
)

// The exit statuses of the master.
const (
	exitOK      = 0 // stopped as asked
	exitRuntime = 1 // cannot bind, pid file held, ...
	exitUsage   = 2 // usage or configuration error
	exitBoot    = 3 // the first workers could not boot
)

// usageError is a mistake on the command line.
type usageError struct {
	error
	hint string
}

// app is what the commands share.
type app struct {
	environ []string
	stdout  io.Writer
	stderr  io.Writer
}

// run is gosuper with its surroundings as parameters.
func run(args, environ []string, stdout, stderr io.Writer) int {
	a := &app{environ: environ, stdout: stdout, stderr: stderr}
	root := a.newRoot()
	root.SetArgs(args)
	err := root.Execute()
	if err != nil {
		deliver(stderr, message(err))
	}
	return status(err)
}

// newRoot is gosuper with all its commands.
func (a *app) newRoot() *cobra.Command {
	root := a.newSupervise()
	root.AddCommand(
		a.newStatus(), a.newTop(), a.newReload(), a.newScale(), a.newRecycle(), a.newStop(), a.newUpgrade(), a.newHealth(),
		a.newCheck(), a.newVersion(), a.newCompletion(root), a.newMan(root),
	)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetHelpCommand(a.newHelp(root))
	root.InitDefaultHelpCmd()
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { io.WriteString(a.stdout, usageText(cmd)) })
	root.SetFlagErrorFunc(flagError)
	return root
}

// status is the exit status that stands for an error.
func status(err error) int {
	switch {
	case err == nil:
		return exitOK
	case as[unhealthy](err):
		return exitRuntime
	case as[usageError](err), as[*config.Error](err), as[*config.Errors](err):
		return exitUsage
	case as[*supervisor.BootError](err):
		return exitBoot
	}
	return exitRuntime
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// message is what an error looks like on a terminal, with what to do about it
// if that is known.
func message(err error) string {
	if all, ok := errors.AsType[*config.Errors](err); ok {
		var b strings.Builder
		for _, one := range all.List {
			b.WriteString(complaint(one.Short(), one.Hint))
		}
		return b.String()
	}
	if e, ok := errors.AsType[*config.Error](err); ok {
		return complaint(e.Short(), e.Hint)
	}
	if e, ok := errors.AsType[*supervisor.Error](err); ok {
		return complaint(e.Error(), e.Hint)
	}
	if e, ok := errors.AsType[*supervisor.BootError](err); ok {
		return complaint(e.Error(), bootHint(e))
	}
	if e, ok := errors.AsType[usageError](err); ok {
		return complaint(e.Error(), e.hint)
	}
	if e, ok := errors.AsType[failure](err); ok {
		return complaint(e.Error(), e.hint)
	}
	if e, ok := errors.AsType[several](err); ok {
		return complaint(e.Error(), e.hint())
	}
	if e, ok := errors.AsType[*control.Error](err); ok {
		return complaint(e.Error(), e.Hint)
	}
	if e, ok := errors.AsType[*control.Unreachable](err); ok {
		return complaint(e.Error(), e.Hint)
	}
	return complaint(err.Error(), "")
}

// complaint is an error and its hint as they are printed. Both may repeat what
// others chose, workers' last lines, names of files and sockets: nothing in them
// can act on the terminal.
func complaint(text, hint string) string {
	text = fmt.Sprintf("gosuper: error: %s\n", strings.TrimRight(text, "\n"))
	if hint != "" {
		text += fmt.Sprintf("gosuper: hint: %s\n", hint)
	}
	return readable(strings.ReplaceAll(text, "\t", "    ")) // stack traces are indented with tabs
}

// bootHint recognises the two mistakes that nearly everybody makes: a program
// that binds its address itself, which the master already has, and one that becomes
// a daemon.
func bootHint(e *supervisor.BootError) string {
	if strings.Contains(e.Status, "no socket that it was given") {
		return "the command must serve the socket it inherits, fd 3 (uvicorn: --fd 3); a program that serves nothing needs ready = \"1s\""
	}
	if e.Hint != "" {
		return e.Hint
	}
	if strings.HasPrefix(e.Status, "no READY=1 ") {
		return `a worker says READY=1 to NOTIFY_SOCKET (sd_notify(3)) when it can serve; for one that never does, ready = "auto" or a time such as ready = "5s"`
	}
	told := false // what went wrong: a shell that does not exec ends with 0 all the same
	for _, line := range e.Lines {
		line = strings.ToLower(line)
		told = told || strings.Contains(line, "error") || strings.Contains(line, "cannot")
		if strings.Contains(line, "address already in use") || strings.Contains(line, "eaddrinuse") {
			return "gosuper has bound the address already: the command must serve the socket it inherits, fd 3; see gosuper help protocol"
		}
	}
	if e.Status == "exit status 0" && !told {
		return "it ended without an error, as a server does that puts itself into the background: the command must stay in the foreground"
	}
	return ""
}

// deliver writes the last words of the process, in one piece and not for
// longer than a stopped reader may keep it from ending.
func deliver(w io.Writer, text string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.WriteString(w, text)
	}()
	select {
	case <-done:
	case <-time.After(flushTime):
	}
}

// workingDir is the folder gosuper was started in.
func workingDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return dir
}
