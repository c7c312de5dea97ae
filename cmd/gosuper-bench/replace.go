//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// way is a kind of load. Each loses requests in a way of its own where workers are
// replaced: a new connection in the queue of a socket that is closed, a request on its
// way to a connection that is, and one on a connection that has been idle for a moment.
type way struct {
	name string
	plan load.Plan
}

func (b *bench) ways() []way {
	post := load.Plan{Method: http.MethodPost, Path: "/agent", Body: `{"prompt":"hello"}`, Connections: b.connections, Mode: load.KeepAlive}
	paused := post
	paused.Pause = 150 * time.Millisecond
	return []way{
		{"new connections", load.Plan{Path: "/health", Connections: b.connections}},
		{"kept, POST", post},
		{"kept, POST, pauses", paused},
	}
}

// during plays something under each kind of load, and returns what became of the
// requests.
func (b *bench) during(ctx context.Context, t *target, play func(*traffic) (sample, error)) (sample, error) {
	var all sample
	for _, w := range b.ways() {
		f := t.send(ctx, nil, w.plan)
		s, err := play(f)
		r := f.end()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		s = append(s, seen("complete", map[string]int{"requests": r.Complete}), losses("lost", r, true), slowest("longest", &r.Latency))
		for _, f := range s {
			f.name = w.name + ": " + f.name
			all = append(all, f)
		}
	}
	return all, nil
}

// reload replaces all workers, waits until the old ones are gone, and begins again
// until the time is over.
func reload(ctx context.Context, b *bench, t *target) (sample, error) {
	return b.during(ctx, t, func(f *traffic) (sample, error) {
		n := 0
		for began := time.Now(); n == 0 || time.Since(began) < b.duration; n++ {
			if err := f.reload(ctx); err != nil {
				return nil, err
			}
		}
		return sample{count("reloads", float64(n))}, nil
	})
}

const (
	hopReloads = 8
	hopRuns    = 20 // of --duration, in which they are
)

// hopReload replaces all workers eight times, evenly over the time.
func hopReload(ctx context.Context, b *bench, t *target) (sample, error) {
	return b.during(ctx, t, func(f *traffic) (sample, error) {
		began := time.Now()
		for i := range hopReloads {
			if err := wait(ctx, time.Until(began.Add(time.Duration(i)*hopRuns*b.duration/hopReloads))); err != nil {
				return nil, err
			}
			if err := f.reload(ctx); err != nil {
				return nil, err
			}
		}
		return sample{count("reloads", hopReloads)}, wait(ctx, time.Until(began.Add(hopRuns*b.duration)))
	})
}

// reload replaces all workers and waits until the old ones are gone.
func (f *traffic) reload(ctx context.Context) error {
	old, err := f.workers(ctx)
	if err != nil {
		return err
	}
	if err := f.target.reload(ctx); err != nil {
		return fmt.Errorf("cannot reload: %w", err)
	}
	return eventually(ctx, "workers from before the reload are left", func() bool { return !slices.ContainsFunc(old, alive) })
}

// recycle has the workers replaced by what they have served.
func recycle(ctx context.Context, b *bench, t *target) (sample, error) {
	return b.during(ctx, t, func(f *traffic) (sample, error) {
		if err := wait(ctx, b.duration); err != nil {
			return nil, err
		}
		return sample{count("workers", float64(len(f.end().Workers)))}, nil
	})
}

// boot replaces the workers of an application that takes seconds to load: first by a
// reload, then by what they have served, until one has been replaced that way.
func boot(ctx context.Context, b *bench, t *target) (sample, error) {
	plan := b.ways()[0].plan
	f := t.send(ctx, nil, plan)
	err := f.reload(ctx)
	reloaded := f.end()
	if err != nil {
		return nil, err
	}
	f = t.send(ctx, nil, plan)
	defer f.end()
	old, err := f.workers(ctx)
	if err != nil {
		return nil, err
	}
	if err := eventually(ctx, "no worker was replaced", func() bool { return !slices.ContainsFunc(old, alive) }); err != nil {
		return nil, err
	}
	recycled := f.end()
	return sample{
		losses("reload: lost", reloaded, true), slowest("reload: longest", &reloaded.Latency),
		losses("recycle: lost", recycled, true), slowest("recycle: longest", &recycled.Latency),
	}, nil
}

// stop ends a target under load on kept connections, a target of its own for each kind.
// Who finds no connection any more has lost nothing; who got one from the kernel and no
// answer came too late for the workers, and is counted by itself.
func stop(ctx context.Context, b *bench, t *target) (sample, error) {
	var all sample
	for i, w := range b.ways()[1:] {
		if i > 0 {
			var err error
			if t, err = b.start(ctx, t.spec); err != nil {
				return nil, err
			}
			defer t.stop()
		}
		s, err := b.stopped(ctx, t, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		all = append(all, s...)
	}
	return all, nil
}

func (b *bench) stopped(ctx context.Context, t *target, w way) (sample, error) {
	var mu sync.Mutex // guards what follows
	lost, late := map[string]int{}, 0
	f := t.send(ctx, func(a load.Answer) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case a.Kind == load.Complete || a.Kind == load.Dial:
		case a.First && a.Kind != load.Cut:
			late++
		default:
			lost[a.Kind.String()]++
		}
	}, w.plan)
	defer f.end()
	if _, err := f.workers(ctx); err != nil {
		return nil, err
	}
	if err := wait(ctx, b.duration/2); err != nil {
		return nil, err
	}
	if err := t.processes[0].cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return nil, fmt.Errorf("cannot stop: %w", err)
	}
	if !t.processes[0].ended(stepTimeout) {
		return nil, fmt.Errorf("still there %s after SIGTERM", stepTimeout)
	}
	r := f.end()
	mu.Lock()
	defer mu.Unlock()
	answered := seen(w.name+": lost", lost)
	answered.must = none
	return sample{
		seen(w.name+": complete", map[string]int{"requests": r.Complete}), answered,
		seen(w.name+": connected, never answered", map[string]int{"requests": late}),
	}, nil
}
