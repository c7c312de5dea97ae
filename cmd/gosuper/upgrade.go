package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor"
)

// noTrial is the value of the flag that was not given.
const noTrial = -1

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
	if err := supervisor.Check(c); err != nil {
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
func logsOnStderr(c config.Log, stderr output, why error) (*logs, error) {
	c.File = "-"
	l, err := openLogs(c, stderr)
	if err == nil {
		l.Logger().Error("cannot open the log after an upgrade: it goes to stderr until the next reload", zap.Error(why))
	}
	return l, err
}
