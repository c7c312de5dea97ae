package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/config"
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

// failure is what went wrong at run time, and what to do about it.
type failure struct {
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
	root.AddCommand(a.masterCommands(root)...)
	root.AddCommand(a.newCheck(), a.newImport(), a.newVersion(), a.newCompletion(root))
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
	if err == nil {
		return exitOK
	}
	if code, ok := masterStatus(err); ok {
		return code
	}
	if as[usageError](err) || as[*config.Error](err) || as[*config.Errors](err) {
		return exitUsage
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
	if e, ok := errors.AsType[usageError](err); ok {
		return complaint(e.Error(), e.hint)
	}
	if e, ok := errors.AsType[failure](err); ok {
		return complaint(e.Error(), e.hint)
	}
	if hint, e := masterHint(err); e != nil {
		return complaint(e.Error(), hint)
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

// readable replaces what a terminal might act upon.
func readable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsGraphic(r) {
			return r
		}
		return utf8.RuneError
	}, text)
}

// flushTime is what a slow reader gets when the process ends.
const flushTime = time.Second

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
