//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor"
	"github.com/gosuper/gosuper/supervisor/control"
)

// upgradeTime is how long an upgrade may take: the trial alone has 10 s.
const upgradeTime = 30 * time.Second

// newUpgrade is gosuper upgrade.
func (a *app) newUpgrade() *cobra.Command {
	return a.newCommand(&cobra.Command{
		Use:   "upgrade",
		Short: "Upgrade the master in place",
		Long: "Have the master become the program that is now at the path it was started from,\n" +
			"as SIGUSR2 does: the same process with the same workers and sockets. If the new\n" +
			"version does not accept the configuration, or anything else is wrong, the exit\n" +
			"status is 1, with the reason, and what ran before runs on.",
		Args: noArgs,
	}, func(ctx context.Context, m *control.Client, _ []string) error {
		ctx, cancel := context.WithTimeout(ctx, upgradeTime)
		defer cancel()
		u, err := m.Upgrade(ctx)
		if err != nil {
			return err
		}
		return a.say("upgraded from " + u.From + " to " + u.To)
	})
}

// noTrial is the value of the flag that was not given.
const noTrial = -1

// addTrial gives gosuper itself the flag by which a master asks a new version.
func (a *app) addTrial(root *cobra.Command, source func(command []string) config.Source) {
	state := root.Flags().Int(supervisor.TrialFlag, noTrial, "say whether this version could go on with the state at `FD`")
	root.Flags().MarkHidden(supervisor.TrialFlag)
	run := root.RunE
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *state == noTrial {
			return run(cmd, args)
		}
		return commandError(cmd, a.rehearse(source(args), *state), source(args))
	}
}

// rehearse is what a master has a new version do before it becomes that: it says
// on stdout whether it could go on.
func (a *app) rehearse(source config.Source, state int) error {
	inheritance, err := supervisor.Rehearse(state)
	if err != nil {
		return err
	}
	source.Dir = inheritance.Config().Dir
	c, _, err := config.Load(source)
	if err != nil {
		return err
	}
	if _, err := supervisor.Check(c); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, supervisor.TrialAnswer)
	return err
}

// program is how this process was started: by the path in argv[0], from the
// folder that is the current one, or by a search of PATH. Where argv[0] says
// something else than what runs it is the file that runs.
func (a *app) program(dir string) supervisor.Program {
	p := supervisor.Program{Args: os.Args}
	running, err := os.Stat("/proc/self/exe")
	if err != nil || len(os.Args) == 0 {
		return p
	}
	path := os.Args[0]
	if !strings.Contains(path, "/") {
		path, _ = exec.LookPath(path)
	}
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if there, err := os.Stat(path); err == nil && os.SameFile(there, running) {
		p.Path = path
	} else if path, err := os.Executable(); err == nil {
		p.Path = path
	}
	return p
}

// logsOnStderr is the log of a master that was upgraded in place while its log
// cannot be opened any more.
func logsOnStderr(c config.Log, s streams, why error) (*logs, error) {
	c.File = "-"
	l, err := openLogs(c, s)
	if err == nil {
		l.Logger().Error("cannot open the log after an upgrade: it goes to stderr until the next reload", zap.Error(why))
	}
	return l, err
}
