//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// traffic is a load that keeps nobody busy all the time: half of the connections
// are kept, half are new for each request.
type traffic struct {
	target  *target
	answers sync.Map // pids of workers that answered
	seen    func(load.Answer)
	stop    context.CancelFunc
	done    chan struct{}
	result  *load.Result // valid when done is closed
}

// traffic starts it; seen, nil for none, is called with each outcome.
func (b *bench) traffic(ctx context.Context, t *target, seen func(load.Answer)) *traffic {
	kept := load.Plan{Path: "/health", Connections: b.connections / 2, Mode: load.KeepAlive, Pause: time.Millisecond}
	fresh := kept
	fresh.Mode = load.NewConnection
	return t.send(ctx, seen, kept, fresh)
}

// send starts traffic of so many kinds at the same time.
func (t *target) send(ctx context.Context, seen func(load.Answer), plans ...load.Plan) *traffic {
	ctx, stop := context.WithCancel(ctx)
	f := &traffic{target: t, seen: seen, stop: stop, done: make(chan struct{})}
	results := make([]*load.Result, len(plans))
	go func() {
		defer close(f.done)
		var running sync.WaitGroup
		for i, plan := range plans {
			plan.Addr, plan.Timeout, plan.Seen = t.addr, requestTime, f.note
			running.Go(func() { results[i] = plan.Run(ctx) })
		}
		running.Wait()
		f.result = results[0]
		for _, other := range results[1:] {
			f.result.Add(other)
		}
	}()
	return f
}

// note takes an outcome, from several goroutines.
func (f *traffic) note(a load.Answer) {
	if _, known := f.answers.Load(a.Pid); !known && a.Pid != 0 {
		f.answers.Store(a.Pid, nil)
	}
	if f.seen != nil {
		f.seen(a)
	}
}

// end ends the traffic and returns what became of it.
func (f *traffic) end() *load.Result {
	f.stop()
	<-f.done
	return f.result
}

// workers waits for workers that have answered and still live, and returns their
// pids in ascending order.
func (f *traffic) workers(ctx context.Context) ([]int, error) {
	var pids []int
	err := eventually(ctx, "no worker answers", func() bool {
		for _, s := range family(f.target.roots()...) {
			if _, answered := f.answers.Load(s.pid); answered && !s.zombie {
				pids = append(pids, s.pid)
			}
		}
		return len(pids) > 0
	})
	slices.Sort(pids)
	return pids, err
}

// stepTimeout is what any step of a scenario may take.
const stepTimeout = 30 * time.Second

// eventually waits until a condition holds; complaint is the error if it does not.
func eventually(ctx context.Context, complaint string, holds func() bool) error {
	for end := time.Now().Add(stepTimeout); !holds(); {
		if time.Now().After(end) {
			return fmt.Errorf("%s after %s", complaint, stepTimeout)
		}
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// wait waits for a time.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
