//go:build linux

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/supervisor/control"
)

// newStop is gosuper stop.
func (a *app) newStop() *cobra.Command {
	var quick, wait bool
	cmd := a.newCommand(&cobra.Command{
		Use:   "stop [--quick] [--wait]",
		Short: "Stop the master, as SIGTERM does",
		Long:  "Stop the master, as SIGTERM does, with --quick as SIGQUIT. Without --wait it is\nnot waited for.",
		Args:  noArgs,
	}, func(ctx context.Context, m *control.Client, _ []string) error {
		ctx, cancel := soonUnless(wait, ctx)
		defer cancel()
		if err := m.Stop(ctx, quick, wait); err != nil {
			return err
		}
		if wait {
			return a.say("stopped")
		}
		return a.say("stopping")
	})
	cmd.Flags().BoolVar(&quick, "quick", false, "do not wait for requests in flight")
	cmd.Flags().BoolVar(&wait, "wait", false, "until the master has ended")
	return cmd
}
