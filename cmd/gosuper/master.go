//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
)

// answerTime is how long a master that is well may take to answer what needs no
// waiting for workers.
const answerTime = 10 * time.Second

// target says which running master is meant.
type target struct{ control, file, name string }

// add makes the flags that say it.
func (t *target) add(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&t.control, "control", "", "the master with the control socket `PATH`")
	flags.StringVarP(&t.file, "config", "c", "", "the master with the configuration `FILE`")
	flags.StringVarP(&t.name, "name", "n", "", "the master with this `NAME`")
	// It only fails for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("name", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		found, _ := control.HomeOf(a.environ).Find(context.Background())
		var names []string
		for _, f := range found {
			names = append(names, f.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// master returns a client of the master that is meant: the one of --control, of
// the configuration, of the name, of GOSUPER_CONTROL_SOCKET, or else the only one
// there is.
func (a *app) master(ctx context.Context, t target) (*control.Client, error) {
	if t.control != "" {
		return control.NewClient(t.control), nil
	}
	at, err := a.locate(t)
	if err != nil {
		return nil, err
	}
	home := control.HomeOf(a.environ)
	switch {
	case t.file == "" && t.name != "":
		return named(ctx, home, t.name)
	case at.Socket == "off" && t.file != "":
		return nil, failure{fmt.Errorf("the master of %s has no control socket", t.file), "its control.socket is off: only signals reach it"}
	case at.Socket != "auto" && at.Socket != "off":
		return control.NewClient(at.Socket), nil
	case t.file == "":
		return only(ctx, home)
	}
	name := cmp.Or(t.name, at.Name) // as for the master, the flag before the file
	if name == "" {
		return nil, failure{fmt.Errorf("%s says neither a name nor a command", t.file), "which master is meant? give its name, -n NAME, or the path of its control socket, --control PATH"}
	}
	return named(ctx, home, name)
}

// locate returns where the master that is meant says that it can be asked.
func (a *app) locate(t target) (config.Location, error) {
	return config.Locate(config.Source{File: t.file, Environ: a.environ, Dir: workingDir()}.Once())
}

// named returns a client of the master of this name, of one that says why it
// cannot be reached if there is none.
func named(ctx context.Context, home control.Home, name string) (*control.Client, error) {
	found, elsewhere := home.FindNamed(ctx, name)
	switch {
	case len(found) > 1:
		return nil, several(found)
	case len(found) == 1:
		return home.Client(found[0].Address), nil
	case len(elsewhere) > 0:
		return home.Client(elsewhere[0]), nil
	}
	m := home.Client(home.Addresses(name)[0])
	if others, _ := home.Find(ctx); len(others) > 0 {
		if _, err := m.Health(ctx); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, failure{fmt.Errorf("no master of user %d has the name %q", home.UID, name), "running: " + listed(others)}
		}
	}
	return m, nil
}

// only returns a client of the only master of this user.
func only(ctx context.Context, home control.Home) (*control.Client, error) {
	found, elsewhere := home.Find(ctx)
	switch {
	case len(found) > 1:
		return nil, several(found)
	case len(found) == 1:
		return home.Client(found[0].Address), nil
	}
	hint := "start one with: gosuper [flags] COMMAND; one that runs elsewhere is reached by --control PATH or -c FILE"
	root := control.Home{Dir: control.RootDir}
	if len(elsewhere) > 0 {
		hint = "those of another pid namespace, such as a container's, are meant only if it is said: --control " + strings.Join(elsewhere, ", --control ")
	} else if others, _ := root.Find(ctx); home.UID != 0 && len(others) > 0 {
		hint = "root runs " + listed(others) + ": use sudo"
	}
	return nil, failure{fmt.Errorf("no master of user %d is running", home.UID), hint}
}

// several are the masters of which one is meant, nobody said which.
type several []control.Found

func (s several) Error() string { return "several masters are running: " + listed(s) }

// hint is how it can be said.
func (s several) hint() string {
	if s[0].Name != s[len(s)-1].Name {
		return "say which one is meant: -n NAME, -c FILE or --control PATH"
	}
	return "they have the same name, so say which one is meant by its address: --control " + s[0].Address
}

// listed names masters, with what tells them apart.
func listed(found []control.Found) string {
	var all []string
	for _, f := range found {
		text := f.Name
		if f.PID > 0 {
			text += fmt.Sprintf(" (pid %d, %s)", f.PID, f.Address)
		} else {
			text += fmt.Sprintf(" (%s)", f.Address)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// newCommand is a command that talks to a running master.
func (a *app) newCommand(cmd *cobra.Command, do func(ctx context.Context, m *control.Client, args []string) error) *cobra.Command {
	var t target
	t.add(a, cmd)
	if cmd.ValidArgs == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	if cmd.Args != nil {
		cmd.Args = usageArgs(cmd.Args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := context.Background()
		m, err := a.master(ctx, t)
		if err != nil {
			return err
		}
		return do(ctx, m, args)
	}
	return cmd
}

// soon is the context of a question that needs no waiting.
func soon(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, answerTime)
}

// soonUnless is the context of a question that may have to wait for workers.
func soonUnless(waits bool, ctx context.Context) (context.Context, context.CancelFunc) {
	if waits {
		return context.WithCancel(ctx)
	}
	return soon(ctx)
}

// say writes to stdout what a master said, which may be any user's when this is
// root: nothing in it can act on the terminal.
func (a *app) say(text string) error {
	_, err := fmt.Fprintln(a.stdout, strings.TrimRight(readable(text), "\n"))
	return err
}
