//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

const (
	atATime    = 200
	tokens     = 60
	tokenPause = 50 * time.Millisecond
)

// stream has so many clients read a stream of tokens at the same time. What takes longer
// than the pauses is the server's. They begin over the time of one pause: a token would
// cost least where all were accepted in the same turn, and come in the same moment ever
// after, as they do for no server whose clients do not know each other.
func stream(ctx context.Context, b *bench, t *target) (sample, error) {
	pause := min(tokenPause, b.duration/20)
	plan := load.Plan{
		Addr: t.addr, Path: fmt.Sprintf("/agent/stream?prompt=hello&tokens=%d&delay=%dms", tokens, pause.Milliseconds()),
		Connections: atATime, Over: pause, Count: atATime, Timeout: stepTimeout,
	}
	before := cpuOf(t.roots()...)
	result := plan.Run(ctx)
	used := cpuOf(t.roots()...) - before
	if result.Complete == 0 {
		return nil, fmt.Errorf("no answer: %v", result)
	}
	s := append(sample{span("CPU time per token", used/time.Duration(result.Complete*tokens))}, outcome(result, true)...)
	for i := range s {
		s[i].compared = true
	}
	return s, nil
}
