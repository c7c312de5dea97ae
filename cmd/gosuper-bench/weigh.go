//go:build linux

package main

import (
	"context"
	"slices"
	"syscall"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// weigh looks at what a fleet weighs after each worker has answered, and how long the
// first caller waits after a worker was killed beside which there is no other.
func weigh(ctx context.Context, b *bench, t *target) (sample, error) {
	f := b.traffic(ctx, t, nil)
	var workers []int
	err := eventually(ctx, "not every worker answers", func() bool {
		var err error
		workers, err = f.workers(ctx)
		return err != nil || len(workers) >= t.workers
	})
	f.end()
	if err != nil {
		return nil, err
	}
	resident, proportional := memory(family(t.roots()...))
	s := sample{size("RSS in all", resident), size("PSS in all", proportional)}

	for _, pid := range workers {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	var first load.Answer
	err = eventually(ctx, "no answer of a new worker", func() bool {
		first = t.ask(ctx, "/health", requestTime)
		return first.Kind == load.Complete && !slices.Contains(workers, first.Pid)
	})
	return append(s, span("all workers killed: first answer after", first.Took)), err
}
