//go:build linux

package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// running is load in progress.
type running struct {
	t      testing.TB
	stop   context.CancelFunc
	result chan *load.Result

	mu      sync.Mutex // guards what follows
	answers int
	by      map[int]int // answers by the pid of the worker
	last    time.Time
	longest time.Duration // between two complete answers
	news    chan struct{} // closed with the next answer; nil: nobody waits
}

// load begins to send requests, to the first address if the plan has none, and
// returns when there was an answer.
func (m *master) load(p load.Plan) *running {
	m.t.Helper()
	if p.Addr == "" {
		p.Addr = m.addr()
		p.Network = network(p.Addr)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: m.t, stop: cancel, result: make(chan *load.Result, 1), by: map[int]int{}}
	p.Seen = r.see
	m.t.Cleanup(cancel)
	go func() { r.result <- p.Run(ctx) }()
	r.more(1)
	return r
}

func (r *running) see(a load.Answer) {
	if a.Kind != load.Complete {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if !r.last.IsZero() {
		r.longest = max(r.longest, now.Sub(r.last))
	}
	r.last = now
	r.answers++
	r.by[a.Pid]++
	if r.news != nil {
		close(r.news)
		r.news = nil
	}
}

// until waits for a condition, which is looked at after each answer.
func (r *running) until(holds func() bool) {
	r.t.Helper()
	timeout := time.After(testTimeout)
	for {
		r.mu.Lock()
		if holds() {
			r.mu.Unlock()
			return
		}
		if r.news == nil {
			r.news = make(chan struct{})
		}
		news := r.news
		r.mu.Unlock()
		select {
		case <-news:
		case <-timeout:
			r.t.Fatal("the workers do not answer")
		}
	}
}

// atLeast waits until there were n complete answers.
func (r *running) atLeast(n int) {
	r.t.Helper()
	r.until(func() bool { return r.answers >= n })
}

// more waits for n more complete answers.
func (r *running) more(n int) {
	r.t.Helper()
	r.mu.Lock()
	n += r.answers
	r.mu.Unlock()
	r.atLeast(n)
}

// answeredBy waits for an answer of the worker.
func (r *running) answeredBy(pid int) {
	r.t.Helper()
	r.until(func() bool { return r.by[pid] > 0 })
}

// end ends the load and returns what became of it.
func (r *running) end() *load.Result {
	r.stop()
	return <-r.result
}

// none fails the test if requests were lost or fewer than least were answered.
func none(t testing.TB, what string, r *load.Result, least int) {
	t.Helper()
	t.Logf("%s: %v", what, r)
	if r.Losses() > 0 {
		t.Errorf("%s: %d requests were lost", what, r.Losses())
	}
	if r.Complete < least {
		t.Errorf("%s: %d requests, want at least %d", what, r.Complete, least)
	}
}

// tenth is the amount in a full run, and a tenth of it in a short one.
func tenth[N int | time.Duration](full N) N {
	if testing.Short() || raceEnabled {
		return full / 10
	}
	return full
}
