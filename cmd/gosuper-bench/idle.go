//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// idle looks at a fleet that has nothing to do, and then at a large one.
func idle(ctx context.Context, b *bench, t *target) (sample, error) {
	// What the start has left to do: heaps are swept, Python's workers import.
	if err := wait(ctx, min(2*time.Second, 2*b.duration)); err != nil {
		return nil, err
	}
	all := family(t.roots()...)
	master := all[:1]
	began := time.Now()
	masterBefore, allBefore := wakeUps(master), wakeUps(all)
	if err := wait(ctx, min(10*time.Second, 5*b.duration)); err != nil {
		return nil, err
	}
	passed := time.Since(began).Seconds()
	rate := func(name string, n int) figure {
		f := perSecond(name, float64(n)/passed)
		f.form, f.compared = func(v float64) string { return fmt.Sprintf("%.1f", v) }, false
		return f
	}
	var s sample
	masterResident := 0
	if t.supervised() {
		var proportional int
		masterResident, proportional = memory(master)
		s = append(s, rate("wake-ups of the master", wakeUps(master)-masterBefore),
			size("RSS of the master", masterResident), size("PSS of the master", proportional))
	}
	resident, proportional := memory(all)
	s = append(s, rate("wake-ups in all", wakeUps(all)-allBefore), size("RSS in all", resident), size("PSS in all", proportional))

	switch t.name {
	case "gosuper":
		large, err := b.large(ctx, masterResident)
		return append(s, large...), err
	case "bare":
		// The same program, started in a loop.
		large, err := b.start(ctx, b.bare(t.name, b.fleet))
		if err != nil {
			return nil, err
		}
		defer large.stop()
		return append(s, b.startTime(large)), nil
	}
	return s, nil
}

func (b *bench) startTime(t *target) figure {
	f := span(fmt.Sprintf("start of %d workers", b.fleet), t.boot)
	f.compared = true
	return f
}

// large starts a large fleet; small is the resident memory of the master of a
// small one.
func (b *bench) large(ctx context.Context, small int) (sample, error) {
	t, err := b.start(ctx, b.ours(b.fleet, "--timeout", "1s"))
	if err != nil {
		return nil, err
	}
	defer t.stop()
	s := sample{b.startTime(t)}
	resident, _ := memory(family(t.roots()...)[:1])
	each := count("memory of the master for each, KiB", float64(resident-small)/1024/float64(b.fleet))
	s = append(s, each)
	answer := t.ask(ctx, "/debug/sleep?d=20s", giveUp)
	s = append(s, seen("a handler of 20 s there: outcome", map[string]int{fate(answer): 1}))
	if answer.Kind == load.Status {
		s = append(s, span("a handler of 20 s there: after", answer.Took))
	}
	return s, nil
}
