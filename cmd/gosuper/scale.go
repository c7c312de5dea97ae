//go:build linux

package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/supervisor/control"
)

// newScale is gosuper scale.
func (a *app) newScale() *cobra.Command {
	var by control.Scaling
	var wait bool
	cmd := a.newCommand(&cobra.Command{
		Use:   "scale [--wait] N | +N | -N",
		Short: "Change the number of workers",
		Long: "Change the number of workers: to N, by N more, or by N less, never below 1. It\n" +
			"is kept over a reload unless the configured number changed.\n\n" +
			"With --wait the exit status is 0 when so many workers are ready and the others\n" +
			"were told to finish, and 1, with the reason, when one does not boot in\n" +
			"restart.startup_attempts attempts; the master goes on trying.",
		Args: func(_ *cobra.Command, args []string) (err error) {
			by, err = scaling(args)
			return err
		},
		DisableFlagParsing: true, // or -2 would be a flag
	}, func(ctx context.Context, m *control.Client, _ []string) error {
		soon, cancel := soon(ctx)
		defer cancel()
		s, err := m.Scale(soon, by)
		if err != nil {
			return err
		}
		if wait {
			if err := a.await(ctx, m, scaled(s.To)); err != nil {
				return err
			}
		}
		return a.say(fmt.Sprintf("workers: %d, before %d", s.To, s.From))
	})
	cmd.Flags().BoolVar(&wait, "wait", false, "until the number is reached")
	run, check := cmd.RunE, cmd.Args
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		flags := cmd.Flags()
		if err := flags.Parse(apart(args)); err != nil {
			return flagError(cmd, err)
		}
		if help, _ := flags.GetBool("help"); help {
			return cmd.Help()
		}
		if err := check(cmd, flags.Args()); err != nil {
			return err
		}
		return run(cmd, flags.Args())
	}
	return cmd
}

// scaled judges whether so many workers are ready, one in each slot, and all
// others were told to drain or are gone.
func scaled(n int) judgement {
	var failures failures
	return func(st control.Status) (shown string, done bool, err error) {
		filled, surplus := map[int]bool{}, false
		for _, w := range st.Workers {
			switch {
			case w.Slot >= n && serves(st, w.ID):
				surplus = true
			case w.State == "ready":
				filled[w.Slot] = true
			}
		}
		if st.Sizing != nil && st.Sizing.Min == n {
			n := st.WorkersTarget
			return fmt.Sprintf("%d of %d workers ready", len(filled), n), len(filled) >= n, nil
		}
		if st.WorkersTarget != n {
			err = fmt.Errorf("the number of workers was changed to %d meanwhile", st.WorkersTarget)
		}
		for _, f := range failures.news(st) {
			if !filled[f.Slot] {
				err = failure{fmt.Errorf("only %d of %d workers are ready, as one does not boot: %s", len(filled), n, f.Error), goesOn}
			}
		}
		return fmt.Sprintf("%d of %d workers ready", len(filled), n), len(filled) == n && !surplus, err
	}
}

var signed = regexp.MustCompile(`^-[0-9]+$`)

// apart moves negative numbers behind the flags and a "--".
func apart(args []string) []string {
	var flags, numbers []string
	for i, arg := range args {
		if arg == "--" {
			numbers = append(numbers, args[i+1:]...)
			break
		}
		if signed.MatchString(arg) {
			numbers = append(numbers, arg)
		} else {
			flags = append(flags, arg)
		}
	}
	if len(numbers) == 0 {
		return flags
	}
	return append(append(flags, "--"), numbers...)
}

// scaling reads N, +N or -N.
func scaling(args []string) (control.Scaling, error) {
	const hint = "as in gosuper scale 4, gosuper scale +1, gosuper scale -1"
	if len(args) != 1 {
		return control.Scaling{}, usageError{fmt.Errorf("gosuper scale takes one number of workers, not %d", len(args)), hint}
	}
	text := args[0]
	n, err := strconv.Atoi(text)
	if err != nil {
		return control.Scaling{}, usageError{fmt.Errorf("%q is not a number of workers", text), hint}
	}
	if text[0] == '+' || text[0] == '-' {
		return control.Scaling{By: &n}, nil
	}
	return control.Scaling{Workers: &n}, nil
}
