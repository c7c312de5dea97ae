//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

const (
	sleepers  = 10              // requests at the same time that take too long
	streams   = 3               // beside them on the same worker
	giveUp    = 3 * time.Second // what the client gives a request that should have been ended after 1 s
	streaming = "/agent/stream?prompt=hello&tokens=10&delay=300ms"
	silence   = "/agent/stream?prompt=hello&tokens=1&delay=20s"
)

// timeout sends handlers that take 20 s to the only worker of a target whose limit
// is 1 s, beside streams that take 3 s and a request every 20 ms; then the same with
// one handler that spins, and at last one stream that says nothing for 20 s.
func timeout(ctx context.Context, b *bench, t *target) (sample, error) {
	handlers := []handler{{"sleeping", "/debug/sleep?d=20s", sleepers}}
	if !b.node && !b.python { // where nothing goes on beside one that spins: see blocked
		handlers = append(handlers, handler{"spinning", "/debug/spin?d=20s", 1})
	}
	s, err := b.overdues(ctx, t, handlers...)
	if err != nil {
		return nil, err
	}
	silent := t.ask(ctx, silence, giveUp)
	s = append(s, seen("silent stream: outcome", map[string]int{fate(silent): 1}))
	if silent.Kind == load.Cut {
		s = append(s, span("silent stream: cut after", silent.Took))
	}
	return s, nil
}

// blocked is timeout for what only Python and Node have: handlers that wait elsewhere,
// which nobody can end, and those that block the event loop, without a processor or, in
// Python, with one.
func blocked(ctx context.Context, b *bench, t *target) (sample, error) {
	handlers := []handler{{"thread", "/debug/thread?d=20s", sleepers}, {"blocked", "/debug/block?d=20s", 1}}
	if b.python {
		handlers = append(handlers, handler{"spinning", "/debug/spin?d=20s", 1})
	}
	s, err := b.overdues(ctx, t, handlers...)
	for i := range s {
		switch kind, name, _ := strings.Cut(s[i].name, ": "); {
		case kind == "thread":
		case name == "streams beside":
			s[i].must = nil // nobody writes them while the loop is blocked
		case name == "others lost":
			if s[i].must = answered; b.node {
				s[i].must = nil // nor has Node a thread that could answer
			}
		}
	}
	return s, err
}

// answered is what becomes of others than gosuper's streams on a worker that is killed
// because its event loop is blocked: none goes without an answer.
func answered(lost map[string]int) error {
	without := maps.Clone(lost)
	delete(without, "503")
	return none(without)
}

// handler is one that takes too long, and how many requests it gets.
type handler struct {
	name, path string
	requests   int
}

// overdues sends requests to one handler after the other.
func (b *bench) overdues(ctx context.Context, t *target, handlers ...handler) (sample, error) {
	var s sample
	for _, h := range handlers {
		got, err := b.overdue(ctx, t, h.name, h.path, h.requests)
		if err != nil {
			return nil, err
		}
		s = append(s, got...)
	}
	return s, nil
}

// overdue sends so many requests that take too long, 20 ms apart.
func (b *bench) overdue(ctx context.Context, t *target, name, path string, requests int) (sample, error) {
	// A worker that has just been replaced is no part of what is measured.
	if err := eventually(ctx, "no answer", func() bool { return t.ask(ctx, "/health", time.Second).Kind == load.Complete }); err != nil {
		return nil, err
	}
	var running sync.WaitGroup
	streamed := make([]load.Answer, streams)
	for i := range streamed {
		running.Go(func() { streamed[i] = t.ask(ctx, streaming, requestTime) })
	}
	if err := wait(ctx, 100*time.Millisecond); err != nil {
		return nil, err
	}
	others, stop := context.WithCancel(ctx)
	defer stop()
	meanwhile, lost := make(chan *load.Result, 1), map[string]int{}
	go func() {
		plan := load.Plan{Addr: t.addr, Path: "/health", Pause: 20 * time.Millisecond, Timeout: requestTime}
		plan.Seen = func(a load.Answer) {
			if a.Kind != load.Complete {
				lost[fate(a)]++
			}
		}
		meanwhile <- plan.Run(others)
	}()
	answers := make([]load.Answer, requests)
	for i := range answers {
		running.Go(func() { answers[i] = t.ask(ctx, path, giveUp) })
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
	running.Wait()
	stop()
	result := <-meanwhile

	fates, whole := map[string]int{}, map[string]int{}
	var took []time.Duration
	for _, a := range answers {
		fates[fate(a)]++
		if fate(a) == "504" {
			took = append(took, a.Took)
		}
	}
	for _, a := range streamed {
		whole[fate(a)]++
	}
	median := span(name+": 504 after, median", took...)
	high := span(name+": p99", took...)
	high.sum = func(v []float64) float64 { return quantile(v, 0.99) }
	longest := slowest(name+": others, longest", &result.Latency)
	beside := seen(name+": streams beside", whole)
	beside.must = complete
	othersLost := seen(name+": others lost", lost)
	othersLost.must = none
	return sample{seen(name+": outcome", fates), median, high, beside, longest, othersLost}, nil
}

// complete is what the fates of gosuper's streams must be.
func complete(fates map[string]int) error {
	lost := maps.Clone(fates)
	delete(lost, load.Complete.String())
	return none(lost)
}

// ask sends one request.
func (t *target) ask(ctx context.Context, path string, limit time.Duration) load.Answer {
	var answer load.Answer
	plan := load.Plan{Addr: t.addr, Path: path, Count: 1, Timeout: limit, Seen: func(a load.Answer) { answer = a }}
	plan.Run(ctx)
	return answer
}

// fate is the status of an answer that is an error, else its kind.
func fate(a load.Answer) string {
	if a.Kind == load.Status {
		status, _, _ := strings.Cut(a.Err.Error(), " ")
		return status
	}
	if a.Kind == load.Late {
		return "none in time"
	}
	return a.Kind.String()
}

const (
	arrivals = 40
	apart    = 10 * time.Millisecond
)

// spread sends long requests, each on a connection of its own, and counts which
// worker got how many.
func spread(ctx context.Context, b *bench, t *target) (sample, error) {
	length := max(3*b.duration, 2*arrivals*apart)
	path := fmt.Sprintf("/debug/sleep?d=%dms", length.Milliseconds())
	answers := make([]load.Answer, arrivals)
	var running sync.WaitGroup
	tick := time.NewTicker(apart)
	defer tick.Stop()
	for i := range answers {
		running.Go(func() { answers[i] = t.ask(ctx, path, arrivals*length) })
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}

	by := map[int]int{}
	lost := map[string]int{}
	for _, a := range answers {
		if a.Kind != load.Complete {
			lost[a.Kind.String()]++
			continue
		}
		by[a.Pid]++
	}
	var counts []int
	for _, n := range by {
		counts = append(counts, n)
	}
	for len(counts) < t.workers {
		counts = append(counts, 0)
	}
	slices.Sort(counts)
	shares := strings.ReplaceAll(strings.Trim(fmt.Sprint(counts), "[]"), " ", "+")
	s := sample{
		count("most less fewest of a worker", float64(counts[len(counts)-1]-counts[0])),
		seen("requests of each worker: runs", map[string]int{shares: 1}),
		seen("lost", lost),
	}
	if t.name != "gosuper" {
		return s, nil
	}
	full, err := b.full(ctx, t.spec)
	return append(s, full), err
}

// full sends 8 requests of a second at once to two workers of gosuper that take 2 each, and
// counts how many were answered after how many seconds.
func (b *bench) full(ctx context.Context, s spec) (figure, error) {
	t, err := b.start(ctx, s.few())
	if err != nil {
		return figure{}, err
	}
	defer t.stop()
	var mu sync.Mutex // guards after
	after := map[string]int{}
	plan := load.Plan{
		Addr: t.addr, Path: "/debug/sleep?d=1s", Connections: 8, Count: 8, Timeout: requestTime,
		Seen: func(a load.Answer) {
			mu.Lock()
			defer mu.Unlock()
			if a.Kind != load.Complete {
				after[a.Kind.String()]++
				return
			}
			after[fmt.Sprintf("after %d s", int(a.Took.Seconds()))]++
		},
	}
	plan.Run(ctx)
	return seen("8 requests of 1 s, 2 workers with worker_connections = 2", after), nil
}
