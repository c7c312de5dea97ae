package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/supervisor/control"
)

// newReload is gosuper reload.
func (a *app) newReload() *cobra.Command {
	var wait bool
	cmd := a.newCommand(&cobra.Command{
		Use:   "reload [--wait]",
		Short: "Replace all workers, as SIGHUP does",
		Long: "Read the configuration and replace all workers, as SIGHUP does.\n\n" +
			"A configuration with a mistake is refused, and one whose workers do not boot is\n" +
			"rolled back: the exit status is 1, with the reason, and what ran before runs on.\n" +
			"A reload during another one takes its place; whoever waits for the first gets\n" +
			"the outcome of the second.",
		Args: noArgs,
	}, func(ctx context.Context, m *control.Client, _ []string) error {
		ctx, cancel := soonUnless(wait, ctx)
		defer cancel()
		r, err := m.Reload(ctx, wait)
		switch {
		case err != nil:
			return err
		case r.Result == control.RolledBack:
			return failure{fmt.Errorf("the reload failed, and what ran before runs on: %s", r.Error), ""}
		case r.Result == control.Underway:
			return a.say("reload started")
		}
		return a.say("reload done")
	})
	cmd.Flags().BoolVar(&wait, "wait", false, "until all workers are replaced, or the reload is rolled back")
	return cmd
}
