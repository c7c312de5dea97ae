package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/config"
)

const superviseLong = `gosuper binds the listening sockets, starts COMMAND as several workers that
inherit them, reloads on SIGHUP and replaces who is past a limit without
refusing a connection, and starts again what crashes. A worker that speaks the
worker protocol loses no request either: gosuper help protocol.

COMMAND and its arguments come last: flags before it are gosuper's, flags after
it are COMMAND's, and so is all that comes after --.

MODULE:ATTR in the place of a program is a Python application. Workers run
python -m gosuper MODULE:ATTR, which is uvicorn with the worker protocol and its
own options: pip install "gosuper[uvicorn]". Python is that of $VIRTUAL_ENV,
else the one that gosuper was installed with, else python3. After MODULE:ATTR
flags of gosuper are its own too, but for --log-level and --env-file, and none
is after --.`

const superviseExample = `  gosuper -w 4 -b :8000 ./agent-server
  gosuper -c supervisor.toml
  gosuper app.main:app -w 4 --factory
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
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		args, err := lateFlags(cmd, args)
		if err != nil {
			return err
		}
		if *printVersion {
			return a.printVersion()
		}
		if err := foreignCommand(cmd, args); err != nil {
			return err
		}
		if *check {
			return commandError(cmd, a.check(source(args)), source(args))
		}
		return commandError(cmd, a.supervise(source(args)), source(args))
	}
	a.addTrial(cmd, source)
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
		args, err := lateFlags(cmd, args)
		if err != nil {
			return err
		}
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
		return config.Source{File: *file, Environ: a.environ, Flags: values.given(), Command: command, Dir: workingDir(), Program: programFile(), Open: openInput}
	}
}

// programFile is the file of this program; "": the system does not tell.
func programFile() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}

// check prints the effective configuration.
func (a *app) check(source config.Source) error {
	c, warnings, err := config.Load(source.Once())
	if err != nil {
		return err
	}
	chosen, doubts, err := a.find(c)
	if err != nil {
		return err
	}
	for _, w := range slices.Concat(warnings, doubts) {
		fmt.Fprintf(a.stderr, "gosuper: warning: %s\n", w)
	}
	_, err = fmt.Fprintln(a.stdout, strings.TrimRight(c.TOML(chosen), "\n"))
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
	if near := cmd.Root().SuggestionsFor(word); len(near) > 0 && !strings.Contains(word, "/") && !strings.Contains(e.Hint, "MODULE:ATTR") && cmd.ArgsLenAtDash() != 0 {
		e.Hint = "did you mean gosuper " + near[0] + "?"
	}
	return e
}
