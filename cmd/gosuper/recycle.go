//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/supervisor/control"
)

// newRecycle is gosuper recycle.
func (a *app) newRecycle() *cobra.Command {
	var which control.Recycling
	var wait bool
	cmd := a.newCommand(&cobra.Command{
		Use:   "recycle [--wait] ID...|all",
		Short: "Replace workers gracefully",
		Long: "Replace workers gracefully, those with the ids that gosuper status shows, or all:\n" +
			"each goes when its replacement is ready, surge at a time.\n\n" +
			"With --wait the exit status is 0 when all of them are replaced, and 1, with the\n" +
			"reason, when a replacement does not boot in restart.startup_attempts attempts; the\n" +
			"master goes on trying.",
		Args: func(_ *cobra.Command, args []string) (err error) {
			which, err = recycling(args)
			return err
		},
		ValidArgs: []string{"all"},
	}, func(ctx context.Context, m *control.Client, _ []string) error {
		soon, cancel := soon(ctx)
		defer cancel()
		var before control.Status
		if wait { // afterwards nobody could tell the slot of a worker that is gone already
			var err error
			if before, err = m.Status(soon, false); err != nil {
				return err
			}
		}
		r, err := m.Recycle(soon, which)
		if err != nil {
			return err
		}
		ids := make([]string, len(r.Workers))
		for i, id := range r.Workers {
			ids[i] = strconv.Itoa(id)
		}
		if !wait {
			return a.say("to be replaced: " + strings.Join(ids, " "))
		}
		judge := replaced(r.Workers)
		judge(before)
		if err := a.await(ctx, m, judge); err != nil {
			return err
		}
		return a.say("replaced: " + strings.Join(ids, " "))
	})
	cmd.Flags().BoolVar(&wait, "wait", false, "until they are replaced")
	return cmd
}

// replaced judges whether these workers are replaced: each was told to drain or
// is gone, and its slot has another one that is ready, unless the slot is not wanted any
// more. Spares count as if they had a slot in common.
func replaced(ids []int) judgement {
	slots := map[int]int{}
	var failures failures
	return func(st control.Status) (shown string, done bool, err error) {
		ready := map[int]bool{} // slots that have another one
		for _, w := range st.Workers {
			if slices.Contains(ids, w.ID) {
				slots[w.ID] = w.Slot
			}
			if (w.State == "ready" || w.State == "spare") && !slices.Contains(ids, w.ID) {
				ready[w.Slot] = true
			}
		}
		failing := failures.news(st)
		n := 0
		for _, id := range ids {
			slot, known := slots[id]
			switch {
			case serves(st, id):
			case !known, ready[slot], slot >= st.WorkersTarget && st.Sizing == nil:
				n++
				continue
			}
			for _, f := range failing {
				if f.Slot == slot {
					err = failure{fmt.Errorf("worker %d is not replaced, as its replacement does not boot: %s", id, f.Error), goesOn}
				}
			}
		}
		return fmt.Sprintf("%d of %d replaced", n, len(ids)), n == len(ids), err
	}
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
