//go:build linux

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
		stop := func() {}
		if wait {
			stop = a.followReload(ctx, m)
		}
		r, err := m.Reload(ctx, wait)
		stop()
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

// followReload shows how far a reload is that is about to be asked for, until
// stop is called.
func (a *app) followReload(ctx context.Context, m *control.Client) (stop func()) {
	p := a.progress()
	if !p.seen() {
		return func() {}
	}
	old := map[int]int{}
	before, err := m.Status(ctx, false)
	if err != nil {
		return func() {} // the reload will say why
	}
	for _, w := range before.Workers {
		old[w.ID] = w.Slot
	}
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = m.Watch(ctx, func(st control.Status) bool {
			gone := 0
			for id := range old {
				if !serves(st, id) {
					gone++
				}
			}
			p.show(fmt.Sprintf("%d of %d replaced", gone, len(old)))
			return false
		})
	}()
	return func() {
		cancel()
		<-over
		p.clear()
	}
}
