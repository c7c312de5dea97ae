//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// scenarios are played in this order.
var scenarios = []scenario{
	{
		name: "steady", about: "throughput and CPU time of a trivial handler on kept connections",
		specs: func(b *bench) []spec {
			// The same program on both sides, which Python's apps are compared with too.
			return slices.Concat([]spec{b.ours(2), b.bare("bare", 2), b.bare("one bare", 1)}, b.gunicorn(2), b.uvicorn(2))
		},
		workers: 2, node: true,
		run: steady, lasting: true,
	},
	{
		name: "even", about: "the same with the connections dealt out evenly, which shows the cost of a request alone",
		specs: func(b *bench) []spec {
			return []spec{b.ours(2), b.bare("bare", 2), b.bare("one bare", 1)}
		},
		workers: 2,
		run:     even, lasting: true,
	},
	{
		name: "paced", about: "the same with 2 ms between an answer and the next request, which leaves processors to spare",
		specs: func(b *bench) []spec {
			return slices.Concat([]spec{b.ours(2), b.bare("bare", 2)}, b.gunicorn(2), b.uvicorn(2))
		},
		workers: 2, node: true,
		run: paced, lasting: true,
	},
	{
		name: "stream", about: "200 streams at a time, each of 60 tokens 50 ms apart",
		specs: func(b *bench) []spec {
			return []spec{b.ours(2), b.bare("bare", 2)}
		},
		workers: 2, node: true,
		run: stream, lasting: true,
	},
	{
		name: "hop", about: "one worker behind gosuper's front, and the same program without one and behind nginx",
		specs: func(b *bench) []spec {
			return append([]spec{b.ours(1, "--worker-class", "proxy"), b.bare("bare", 1)}, b.nginx()...)
		},
		run: hopped(steady), lasting: true,
	},
	{
		name: "hopstream", about: "the same for 200 streams at a time, each of 60 tokens 50 ms apart",
		specs: func(b *bench) []spec {
			return append([]spec{b.ours(1, "--worker-class", "proxy"), b.bare("bare", 1)}, b.nginx()...)
		},
		run: hopped(stream), lasting: true,
	},
	{
		name: "reload", about: "one reload after the other under load, of three kinds",
		specs: func(b *bench) []spec {
			return slices.Concat([]spec{b.ours(2), b.bare("bare", 2)}, b.gunicorn(2), b.uvicorn(2))
		},
		workers: 2, node: true,
		run: reload,
	},
	{
		name: "hopreload", about: "8 reloads in 20 times --duration, of three kinds: the package for Node, fronts, and nginx; only if named",
		wish: wish{hop: true}, workers: 2, node: true,
		run: hopReload, named: true,
	},
	{
		name: "recycle", about: "workers replaced after every 500 requests, under load of three kinds",
		specs: func(b *bench) []spec {
			return slices.Concat([]spec{b.ours(2, "--max-requests", "500")}, b.gunicorn(2, "--max-requests", "500"), b.uvicorn(2, "--limit-max-requests", "500"))
		},
		wish: wish{requests: 500}, workers: 2, node: true,
		run: recycle,
	},
	{
		name: "boot", about: "a reload, and then a recycling, of an application that takes 4 s to load",
		wish: wish{requests: 2000, env: []string{"BENCH_BOOT=4"}}, workers: 2,
		run: boot,
	},
	{
		name: "stop", about: "SIGTERM under load: what was on its way is answered",
		specs: func(b *bench) []spec {
			return slices.Concat([]spec{b.ours(2)}, b.gunicorn(2), b.uvicorn(2))
		},
		workers: 2, node: true,
		run: stop, binding: true,
	},
	{
		name: "crash", about: "a worker killed every second, under load",
		specs: func(b *bench) []spec {
			return slices.Concat([]spec{b.gosuper(2)}, b.gunicorn(2), b.uvicorn(2))
		},
		workers: 2,
		run:     crash,
	},
	{
		name: "timeout", about: "timeout = 1s; handlers that sleep, and one that spins, for 20 s",
		specs: func(b *bench) []spec {
			return slices.Concat([]spec{b.ours(1, "--timeout", "1s")}, b.gunicorn(1, "--timeout", "1"), b.uvicorn(1))
		},
		wish: wish{timeout: true, hop: true}, workers: 1, node: true,
		run: timeout,
	},
	{
		name: "blocked", about: "timeout = 1s; handlers that sleep in a thread, and those that block the event loop",
		wish: wish{timeout: true, hop: true}, workers: 1, node: true,
		run: blocked,
	},
	{
		name: "spread", about: "40 long requests that arrive 10 ms apart, over 4 workers",
		specs: func(b *bench) []spec {
			return slices.Concat([]spec{b.gosuper(4), b.bare("bare", 4)}, b.gunicorn(4), b.uvicorn(4))
		},
		wish: wish{hop: true}, workers: 4, node: true,
		run: spread,
	},
	{
		name: "idle", about: "what an idle fleet takes, and what a large one does",
		specs: func(b *bench) []spec {
			return slices.Concat([]spec{b.gosuper(2), b.bare("bare", 2)}, b.gunicorn(2), b.uvicorn(2))
		},
		workers: 2,
		run:     idle,
	},
	{
		name: "preload", about: "memory of 4 workers whose application weighs 200 MiB, loaded once",
		wish: wish{preload: true, env: []string{"BENCH_BALLAST=200"}}, workers: 4,
		run: weigh,
	},
	{
		name: "elastic", about: "gosuper alone: nobody runs until somebody asks, and more come when many do",
		specs: func(b *bench) []spec { return []spec{b.elastic(0, b.loadTime(), time.Second)} },
		run:   follow,
	},
	{
		name: "leases", about: "gosuper alone: reloads of 4 workers with as many leases, and with one more",
		specs: func(b *bench) []spec { return []spec{b.booting(4, b.loadTime(), "-c", "leases4.toml")} },
		run:   lease,
	},
	{
		name: "spare", about: "gosuper alone: a worker killed whose successor boots for 10 s, beside a spare",
		specs: func(b *bench) []spec {
			s := b.booting(1, b.longLoadTime())
			s.env, s.mark = []string{"GOSUPER_SPARES=1"}, `"msg":"spare ready"`
			return []spec{s}
		},
		run: takeOver,
	},
	{
		name: "soak", about: "gosuper alone: all of it at once, for as long as --duration says; only if named",
		specs: func(b *bench) []spec {
			return []spec{b.ours(2, "--timeout", "1s")}
		},
		wish: wish{timeout: true}, workers: 2,
		run: soak, named: true,
	},
}

// requestTime is how long a client under load waits; nothing that works takes so
// long.
const requestTime = 10 * time.Second

func steady(ctx context.Context, b *bench, t *target) (sample, error) {
	return throughput(ctx, b, t, load.Plan{})
}

func even(ctx context.Context, b *bench, t *target) (sample, error) {
	return throughput(ctx, b, t, load.Plan{Even: t.workers})
}

// paced has all servers do the same work, where throughput has the faster one do more:
// how long that takes can be compared.
func paced(ctx context.Context, b *bench, t *target) (sample, error) {
	return throughput(ctx, b, t, load.Plan{Pause: 2 * time.Millisecond})
}

// throughput is that of kept connections. Without pauses they keep all processors busy:
// while the client waits for one, answers lie there unread.
func throughput(ctx context.Context, b *bench, t *target, plan load.Plan) (sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	plan.Addr, plan.Path, plan.Connections, plan.Mode, plan.Timeout = t.addr, "/health", b.connections, load.KeepAlive, requestTime
	var before time.Duration
	plan.Begin = func() { // making even connections is no part of it
		before = cpuOf(t.roots()...)
		time.AfterFunc(b.duration, cancel)
	}
	result := plan.Run(ctx)
	used := cpuOf(t.roots()...) - before
	if result.Complete == 0 {
		return nil, fmt.Errorf("no answer: %v", result)
	}
	cpu := span("CPU time per request", used/time.Duration(result.Complete))
	busiest := 0
	for _, n := range result.Workers {
		busiest = max(busiest, n)
	}
	s := sample{
		perSecond("requests", float64(result.Complete)/result.Elapsed.Seconds()), cpu,
		share("share of the busiest process", float64(busiest)/float64(result.Complete)),
	}
	s = append(s, outcome(result, true)...)
	s = append(s, span("client's own wait: p99", result.Unread.Quantile(0.99)), slowest("client's own wait: longest", &result.Unread))
	for i := range s {
		s[i].compared = true
	}
	return s, nil
}

// outcome is what became of requests.
func outcome(r *load.Result, lossless bool) sample {
	return sample{
		seen("complete", map[string]int{"requests": r.Complete}), losses("lost", r, lossless),
		span("p50", r.Latency.Quantile(0.5)), span("p99", r.Latency.Quantile(0.99)), span("p99.9", r.Latency.Quantile(0.999)), slowest("longest", &r.Latency),
	}
}

// slowest is the longest time in any run.
func slowest(name string, h *load.Histogram) figure {
	f := span(name)
	if longest := h.Max(); longest > 0 {
		f = span(name, longest)
	}
	f.sum = slices.Max[[]float64]
	return f
}

// losses are the requests without a complete answer, by kind. If it must be
// lossless, gosuper may have none.
func losses(name string, r *load.Result, lossless bool) figure {
	lost := map[string]int{}
	for kind, n := range r.Lost {
		lost[kind.String()] += n
	}
	f := seen(name, lost)
	if lossless {
		f.must = none
	}
	return f
}

// none is what a tally of gosuper's losses must be.
func none(lost map[string]int) error {
	n := 0
	for one := range maps.Values(lost) {
		n += one
	}
	if n > 0 {
		return fmt.Errorf("%d requests lost: %v", n, lost)
	}
	return nil
}

// crash kills a worker every second, the longest-lived and the youngest in turn.
func crash(ctx context.Context, b *bench, t *target) (sample, error) {
	f := b.traffic(ctx, t, nil)
	defer f.end()
	n := 0
	pause := min(time.Second, b.duration/2)
	for began := time.Now(); n == 0 || time.Since(began) < b.duration; n++ {
		if err := wait(ctx, pause/2); err != nil {
			return nil, err
		}
		pids, err := f.workers(ctx)
		if err != nil {
			return nil, err
		}
		if n%2 == 1 {
			slices.Reverse(pids)
		}
		if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
			return nil, fmt.Errorf("cannot kill a worker: %w", err)
		}
		if err := wait(ctx, pause/2); err != nil {
			return nil, err
		}
	}
	r := f.end()
	s := sample{count("kills in a run", float64(n)), count("lost per kill", float64(r.Losses())/float64(n))}
	return append(s, outcome(r, false)...), nil
}
