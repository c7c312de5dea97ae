package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/config"
)

// newImport is gosuper import. The file is a program in Python, so Python reads it.
func (a *app) newImport() *cobra.Command {
	return &cobra.Command{
		Use:   "import gunicorn.conf.py",
		Short: "Translate it to supervisor.toml",
		Long: "Print the supervisor.toml that means the same as a configuration of Gunicorn, with a\n" +
			"comment for each line that has no counterpart. Package gosuper of Python executes the\n" +
			"file as Gunicorn does: with the Python that would serve an application.",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error { return a.translate(args[0]) },
	}
}

// translate prints what a file of Gunicorn means.
func (a *app) translate(file string) error {
	source, err := os.Open(file)
	if err != nil {
		return failure{fmt.Errorf("cannot read %s: %w", file, errors.Unwrap(err)), "name the file that Gunicorn is started with by -c"}
	}
	source.Close()
	python, err := config.FindPython(config.Source{Environ: a.environ, Dir: workingDir(), Program: programFile()})
	if e, ok := errors.AsType[*config.Error](err); ok {
		return failure{fmt.Errorf("cannot read %s, a Python program: %s", file, e.Msg), e.Hint}
	}
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd := exec.Command(python, "-m", "gosuper._import", "--keys="+strings.Join(keyNames(), ","), "--", file)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = a.environ, os.Stdin, a.stdout, io.MultiWriter(a.stderr, &said)
	if err := cmd.Run(); err != nil {
		return failure{fmt.Errorf("cannot translate %s: Python: %w", file, err), pythonHint(strings.Split(said.String(), "\n"))}
	}
	return nil
}
