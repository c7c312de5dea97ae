package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor"
	"github.com/gosuper/gosuper/supervisor/files"
)

const superviseLong = `gosuper binds the listening sockets, starts COMMAND as several workers that
inherit them, replaces each before it grows old, reloads on SIGHUP without
refusing a connection, and starts again what crashes. A worker that speaks the
worker protocol loses no request either: gosuper help protocol.

COMMAND and its arguments come last: flags before it are gosuper's, flags after
it are COMMAND's.`

const superviseExample = `  gosuper -w 4 -b :8000 ./agent-server
  gosuper -c supervisor.toml
  gosuper -b 127.0.0.1:8000 -- uvicorn app:app --fd 3`

// newSupervise is the main job: gosuper itself.
func (a *app) newSupervise() *cobra.Command {
	cmd := &cobra.Command{
		Use:                        "gosuper [flags] [--] COMMAND [ARG...]",
		Short:                      "Supervise COMMAND as several workers",
		Long:                       superviseLong,
		Example:                    superviseExample,
		Args:                       cobra.ArbitraryArgs,
		DisableFlagsInUseLine:      true,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	source := a.addConfiguration(cmd)
	check := cmd.Flags().Bool("check-config", false, "validate the configuration, print the effective one as TOML and start nothing")
	cmd.Flags().BoolP("help", "h", false, "print this help")
	printVersion := cmd.Flags().BoolP("version", "V", false, "print the version")
	trial := cmd.Flags().Int(supervisor.TrialFlag, noTrial, "say whether this version could go on with the state at `FD`")
	cmd.Flags().MarkHidden(supervisor.TrialFlag)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if *printVersion {
			return a.printVersion()
		}
		if *trial != noTrial {
			return commandError(cmd, a.rehearse(source(args), *trial), source(args))
		}
		if err := foreignCommand(cmd, args); err != nil {
			return err
		}
		if *check {
			return commandError(cmd, a.check(source(args)), source(args))
		}
		return commandError(cmd, a.supervise(source(args)), source(args))
	}
	return cmd
}

// newCheck is gosuper check.
func (a *app) newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "check [flags] [COMMAND...]",
		Short:                 "Validate the configuration, print it",
		Long:                  "Validate the configuration and print the effective one as TOML; start nothing.\nThe flags are those of gosuper itself: gosuper --help.",
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
	}
	source := a.addConfiguration(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := foreignCommand(cmd, args); err != nil {
			return err
		}
		return commandError(cmd, a.check(source(args)), source(args))
	}
	return cmd
}

// addConfiguration makes the flags of the configuration. They end at COMMAND,
// whose own flags follow. source is what they say.
func (a *app) addConfiguration(cmd *cobra.Command) (source func(command []string) config.Source) {
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.SortFlags = false
	file := flags.StringP("config", "c", "", "read the configuration from `FILE`")
	values := addFlags(flags)
	completeFlags(cmd)
	cmd.ValidArgsFunction = completeArguments
	return func(command []string) config.Source {
		return config.Source{File: *file, Environ: a.environ, Flags: values.given(), Command: command, Dir: workingDir(), Open: files.OpenInput}
	}
}

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
	stderr := newOutput(os.Stderr, a.environ)
	logs, err := openLogs(c.Log, stderr)
	if err != nil && inheritance != nil {
		logs, err = logsOnStderr(c.Log, stderr, err)
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
		Stderr:      stderr.worker,
		Version:     version(),
		Program:     program,
		Inheritance: inheritance,
	})
	switch {
	case err == nil:
		err = s.Run()
	case errors.Is(err, supervisor.ErrStopped):
		err = nil
	}
	logs.Close()
	if err != nil || stderr.terminal {
		deliver(stderr, "") // what comes now begins a line
	}
	return err
}

// check prints the effective configuration.
func (a *app) check(source config.Source) error {
	c, warnings, err := config.Load(source.Once())
	if err != nil {
		return err
	}
	here, err := supervisor.Check(c)
	if err != nil {
		return err
	}
	for _, w := range slices.Concat(warnings, here.Warnings, budget(c, a.environ)) {
		fmt.Fprintf(a.stderr, "gosuper: warning: %s\n", w)
	}
	_, err = fmt.Fprintln(a.stdout, strings.TrimRight(c.TOML(here.Chosen), "\n"))
	return err
}

// commandError says where a command that cannot be run was written.
func commandError(cmd *cobra.Command, err error, source config.Source) error {
	e, ok := errors.AsType[*config.Error](err)
	if !ok || e.Key != "command" {
		return err
	}
	e = new(*e)
	if len(source.Command) == 0 {
		e.File = source.File
		return e
	}
	e.From = "COMMAND"
	word := source.Command[0]
	if near := cmd.Root().SuggestionsFor(word); len(near) > 0 && !strings.Contains(word, "/") && cmd.ArgsLenAtDash() != 0 {
		e.Hint = "did you mean gosuper " + near[0] + "?"
	}
	return e
}
