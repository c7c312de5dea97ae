//go:build linux

package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// loadTime and longLoadTime are how long workers boot that have something to load.
func (b *bench) loadTime() time.Duration     { return min(time.Second, b.duration) }
func (b *bench) longLoadTime() time.Duration { return 10 * b.loadTime() }

// booting is an agent that boots for so long.
func (b *bench) booting(workers int, boot time.Duration, flags ...string) spec {
	return b.gosuperWith(workers, []string{self(), "agent", "--boot", boot.String()}, flags...)
}

// elastic is at least so many workers and four at most, each for 16 requests in flight.
func (b *bench) elastic(workers int, boot, idle time.Duration) spec {
	s := b.booting(workers, boot, "--workers-max", "4")
	s.env = []string{"GOSUPER_TARGET_IN_FLIGHT=16", "GOSUPER_IDLE_TIMEOUT=" + idle.String()}
	return s
}

// answered asks for a path, and gives up what is not answered.
func (t *target) answered(ctx context.Context, path string) (load.Answer, error) {
	a := t.ask(ctx, path, stepTimeout)
	if a.Kind != load.Complete {
		return a, fmt.Errorf("no answer to %s: %v", path, a.Err)
	}
	return a, nil
}

// follow has nobody run until somebody asks, again and again, and has another fleet grow
// from two workers to four.
func follow(ctx context.Context, b *bench, t *target) (sample, error) {
	var beyond []time.Duration
	for range 3 {
		a, err := t.answered(ctx, "/health")
		if err != nil {
			return nil, err
		}
		beyond = append(beyond, a.Took-b.loadTime())
		if err := eventually(ctx, "workers are left that nobody needs", func() bool { return len(family(t.roots()...)) == 1 }); err != nil {
			return nil, err
		}
	}
	sleeps, err := asleep(ctx, b, t)
	if err != nil {
		return nil, err
	}
	step, err := b.grow(ctx)
	if err != nil {
		return nil, err
	}
	return sample{span("nobody runs: first answer, beyond the boot", beyond...), sleeps, step}, nil
}

// asleep is how often the threads of a master wake up that has nothing to do.
func asleep(ctx context.Context, b *bench, t *target) (figure, error) {
	if err := wait(ctx, min(2*time.Second, 2*b.duration)); err != nil {
		return figure{}, err
	}
	master := family(t.roots()...)[:1]
	before, began := wakeUps(master), time.Now()
	if err := wait(ctx, min(10*time.Second, 5*b.duration)); err != nil {
		return figure{}, err
	}
	f := perSecond("nobody runs: wake-ups of the master", float64(wakeUps(master)-before)/time.Since(began).Seconds())
	f.form = func(v float64) string { return fmt.Sprintf("%.1f", v) }
	return f, nil
}

// grow has a fleet with one request in flight get 63 more.
func (b *bench) grow(ctx context.Context) (figure, error) {
	t, err := b.start(ctx, b.elastic(2, 0, time.Hour))
	if err != nil {
		return figure{}, err
	}
	defer t.stop()
	asking := load.Plan{Path: "/debug/sleep?d=3s", Mode: load.NewConnection}
	asking.Connections = 1
	one := t.send(ctx, nil, asking)
	defer one.end()
	if err := wait(ctx, time.Second); err != nil {
		return figure{}, err
	}
	answered := map[int]bool{}
	for _, p := range family(t.roots()...) {
		answered[p.pid] = true
	}
	began := time.Now()
	asking.Connections = 63
	more := t.send(ctx, nil, asking)
	defer more.end()
	if err := eventually(ctx, "no more workers answer", func() bool {
		if a := t.ask(ctx, "/health", stepTimeout); a.Kind == load.Complete {
			answered[a.Pid] = true
		}
		return len(answered) == 1+4
	}); err != nil {
		return figure{}, err
	}
	return span("1 to 64 in flight: 2 more workers answer after", time.Since(began)), nil
}

// lease reloads workers that each have one of as many leases, and then of one more.
func lease(ctx context.Context, b *bench, t *target) (sample, error) {
	tight, err := b.reloads(ctx, t)
	if err != nil {
		return nil, err
	}
	if t, err = b.start(ctx, b.booting(t.workers, b.loadTime(), "-c", "leases5.toml")); err != nil {
		return nil, err
	}
	defer t.stop()
	free, err := b.reloads(ctx, t)
	if err != nil {
		return nil, err
	}
	return sample{
		losses("4 leases: lost", tight, true), slowest("4 leases: longest wait", &tight.Latency),
		losses("5 leases: lost", free, true), slowest("5 leases: longest wait", &free.Latency),
	}, nil
}

// reloads has all workers replaced six times, on new connections.
func (b *bench) reloads(ctx context.Context, t *target) (*load.Result, error) {
	f := t.send(ctx, nil, load.Plan{Path: "/health", Connections: b.connections / 2, Mode: load.NewConnection, Pause: time.Millisecond})
	defer f.end()
	for range 6 {
		if err := f.reload(ctx); err != nil {
			return nil, err
		}
		// Or the next one keeps somebody waiting who has waited for this one.
		if err := wait(ctx, b.loadTime()); err != nil {
			return nil, err
		}
	}
	return f.end(), nil
}

// takeOver kills the only worker while a spare waits, and asks until that has answered.
func takeOver(ctx context.Context, b *bench, t *target) (sample, error) {
	var after []time.Duration
	lost := map[string]int{}
	for range 3 {
		before, err := t.answered(ctx, "/health")
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if err := syscall.Kill(before.Pid, syscall.SIGKILL); err != nil {
			return nil, fmt.Errorf("cannot kill a worker: %w", err)
		}
		// What the killed one had accepted is lost with it.
		for a := before; a.Kind != load.Complete || a.Pid == before.Pid; {
			if time.Since(began) > stepTimeout {
				return nil, fmt.Errorf("no spare answers: %v", a.Err)
			}
			if a = t.ask(ctx, "/health", stepTimeout); a.Kind != load.Complete {
				lost[a.Kind.String()]++
			}
		}
		after = append(after, time.Since(began))
		if err := wait(ctx, b.longLoadTime()+b.loadTime()); err != nil { // until there is another spare
			return nil, err
		}
	}
	return sample{span("worker killed: next answer after", after...), seen("lost until then", lost)}, nil
}
