// Package load is a client that counts what other clients hide. It sends
// requests over as many connections as it is told, never sends one again, and
// counts a request as complete only when the whole of its answer has arrived.
// Every other outcome is a lost request, by the kind of its loss.
//
// An http.Client is no such thing: its Transport sends a request again when a
// kept connection turns out to be closed, which is exactly the loss that a
// supervisor has to avoid. So this package speaks HTTP/1.1 on plain connections,
// and leaves only the reading of answers to net/http. It behaves as well as a
// client can: a connection whose answer said "Connection: close" is not used
// again.
//
// The latency of a request ends when its answer has arrived, as far as the kernel says
// when that was, and not when this program gets to read it, which on a busy machine may
// be much later.
package load

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Mode says how long connections live.
type Mode int

// The modes.
const (
	NewConnection Mode = iota // each request has a connection of its own
	KeepAlive                 // a connection is used until an answer says that it closes
)

func (m Mode) String() string {
	if m == KeepAlive {
		return "keep-alive"
	}
	return "new-connection"
}

// Plan says what to send where.
type Plan struct {
	// Network and Addr are those of net.Dial; an empty Network is "tcp".
	Network, Addr string
	// Connections is how many requests are on their way at the same time, at
	// least 1.
	Connections int
	// Mode says how long connections live.
	Mode Mode
	// Method and Path are those of the request; empty ones are GET and /.
	Method, Path string
	// Body is sent with each request; empty: none.
	Body string
	// PerConnection is how many requests a kept connection is used for before this
	// end closes it; 0: as many as the other end allows.
	PerConnection int
	// Pause is the time between an answer and the next request on the same
	// connection.
	Pause time.Duration
	// Even, if above 0, has connections made before the run until each of so many
	// workers has the same number of them, give or take one; others are closed again.
	// For kept connections to workers that say their pid.
	Even int
	// Begin is called once, when those are made and the run begins; nil: nobody is told.
	Begin func()
	// Over is the time over which the connections begin, one after the other; 0: all at once.
	Over time.Duration
	// Count ends the run after so many requests; 0: only the context ends it.
	Count int64
	// Timeout bounds each request, dialling included; 0: 30 s. What takes longer
	// is lost.
	Timeout time.Duration
	// Seen is called with each result of a request, from several goroutines;
	// nil: nobody looks.
	Seen func(Answer)
}

// Answer is the outcome of one request.
type Answer struct {
	Start time.Time
	Took  time.Duration
	// Unread is the last part of Took, for which a complete answer had arrived and was
	// not read; 0 if the kernel does not say, which it does on Linux, of TCP.
	Unread time.Duration
	// Silence is how long nothing had come before what came last: a piece of the answer,
	// or its end, or the news that there will be none.
	Silence time.Duration
	Kind    Kind   // Complete, or how it was lost
	Err     error  // nil for Complete
	Pid     int    // of the worker, from X-Worker-Pid, also if the rest of the answer was lost; 0: unknown
	Local   string // address of this end of the connection; "": none was made
	First   bool   // it was the first on its connection
}

// Run sends requests until the context ends or Count is reached. Those under
// way at that moment are brought to their end.
func (p Plan) Run(ctx context.Context) *Result {
	if p.Network == "" {
		p.Network = "tcp"
	}
	if p.Timeout == 0 {
		p.Timeout = 30 * time.Second
	}
	request := p.request()
	var sent atomic.Int64
	next := func() bool {
		return ctx.Err() == nil && (p.Count == 0 || sent.Add(1) <= p.Count)
	}
	clients := make([]*client, max(p.Connections, 1))
	for i := range clients {
		clients[i] = &client{plan: p, request: request, result: newResult()}
	}
	p.even(ctx, clients)
	if p.Begin != nil {
		p.Begin()
	}
	begin := time.Now()
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			rest(ctx, p.Over*time.Duration(i)/time.Duration(len(clients)))
			clients[i].run(ctx, next)
		})
	}
	running.Wait()
	total := newResult()
	for _, c := range clients {
		total.Add(c.result)
	}
	total.Elapsed = time.Since(begin)
	return total
}

// even connects clients so that they are spread over the workers evenly, as far as
// that can be had with a hundred connections for each.
func (p Plan) even(ctx context.Context, clients []*client) {
	if p.Even <= 0 {
		return
	}
	share := (len(clients) + p.Even - 1) / p.Even
	has := map[int]int{}
	tries := 100 * len(clients)
	for _, c := range clients {
		for ; tries > 0 && ctx.Err() == nil; tries-- {
			a := c.one()
			if a.Kind == Complete && has[a.Pid] < share {
				has[a.Pid]++
				break
			}
			c.close()
		}
	}
}

// Result is what became of the requests of a run.
type Result struct {
	Complete    int
	Lost        map[Kind]int
	Connections int         // that were opened
	Workers     map[int]int // complete requests by the pid of the worker
	Latency     Histogram   // of complete requests, until the answer had arrived
	Unread      Histogram   // Answer.Unread of those
	Elapsed     time.Duration
	Errors      map[Kind]error // the first of each kind
}

func newResult() *Result {
	return &Result{Lost: map[Kind]int{}, Workers: map[int]int{}, Errors: map[Kind]error{}}
}

// Losses is the number of requests that were not complete, of all kinds.
func (r *Result) Losses() int {
	n := 0
	for lost := range maps.Values(r.Lost) {
		n += lost
	}
	return n
}

// Pids returns the workers that answered, in ascending order.
func (r *Result) Pids() []int { return slices.Sorted(maps.Keys(r.Workers)) }

// note counts one outcome.
func (r *Result) note(a Answer) {
	if a.Kind != Complete {
		r.Lost[a.Kind]++
		if r.Errors[a.Kind] == nil {
			r.Errors[a.Kind] = a.Err
		}
		return
	}
	r.Complete++
	r.Latency.Add(a.Took - a.Unread)
	r.Unread.Add(a.Unread)
	if a.Pid != 0 {
		r.Workers[a.Pid]++
	}
}

// Add adds the counts of another run. Elapsed stays.
func (r *Result) Add(other *Result) {
	r.Complete += other.Complete
	r.Connections += other.Connections
	for kind, n := range other.Lost {
		r.Lost[kind] += n
		if r.Errors[kind] == nil {
			r.Errors[kind] = other.Errors[kind]
		}
	}
	for pid, n := range other.Workers {
		r.Workers[pid] += n
	}
	r.Latency.merge(&other.Latency)
	r.Unread.merge(&other.Unread)
}
