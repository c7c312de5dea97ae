package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/supervisor/control"
)

// newRecycle is gosuper recycle.
func (a *app) newRecycle() *cobra.Command {
	var which control.Recycling
	return a.newCommand(&cobra.Command{
		Use:   "recycle ID...|all",
		Short: "Replace workers gracefully",
		Long: "Replace workers gracefully, those with the ids that gosuper status shows, or all:\n" +
			"each goes when its replacement is ready, surge at a time.",
		Args: func(_ *cobra.Command, args []string) (err error) {
			which, err = recycling(args)
			return err
		},
		ValidArgs: []string{"all"},
	}, func(ctx context.Context, m *control.Client, _ []string) error {
		ctx, cancel := soon(ctx)
		defer cancel()
		r, err := m.Recycle(ctx, which)
		if err != nil {
			return err
		}
		ids := make([]string, len(r.Workers))
		for i, id := range r.Workers {
			ids[i] = strconv.Itoa(id)
		}
		return a.say("to be replaced: " + strings.Join(ids, " "))
	})
}

// recycling reads the ids of workers, or all.
func recycling(args []string) (control.Recycling, error) {
	if len(args) == 1 && args[0] == "all" {
		return control.Recycling{All: true}, nil
	}
	var which control.Recycling
	if len(args) == 0 {
		return which, usageError{errors.New("gosuper recycle takes the ids of workers, or all"), "gosuper status shows the ids"}
	}
	for _, arg := range args {
		id, err := strconv.Atoi(arg)
		if err != nil || id < 1 {
			return which, usageError{fmt.Errorf("%q is not the id of a worker", arg), "gosuper status shows the ids; all of them: gosuper recycle all"}
		}
		which.Workers = append(which.Workers, id)
	}
	return which, nil
}
