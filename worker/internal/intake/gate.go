// Package intake decides who of several workers accepts the next connection from a queue
// that they share: it counts what keeps this one busy, tells the others, and leaves a
// connection to one that is less so.
package intake

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// A Gate counts what keeps this worker busy: the requests whose handlers are at work,
// also behind an answer at their deadline, and the connections that have not sent their
// first request yet, but those no longer than they are fresh. It holds the listeners back
// while there are as many as the worker is allowed, and tells the other workers of the
// fleet how many there are.
//
// A connection's first request takes over what its connection counted, so nothing
// changes when it begins. Requests are never held back: the connections that they
// come on cannot go anywhere else, and may exceed the limit.
type Gate struct {
	limit int64             // worker_connections, 0 for no limit
	place *scoreboard.Place // where the other workers look, nil for nowhere
	id    uint64            // of this worker, for the place
	on    bool              // there is somebody to count for

	busy   atomic.Int64  // see above, and connections about to be accepted
	ended  atomic.Uint64 // requests
	closed atomic.Uint64 // connections
	mark   atomic.Int64  // the listeners that wait are woken when busy goes down to this, -1 if none waits

	held atomic.Bool // see Hold

	mu      sync.Mutex // guards what follows, entering and leaving the place, and changes of mark
	fresh   freshList
	waiting int             // listeners
	wakes   []chan struct{} // one for each listener, with room for one value
	accepts bool            // as far as the listeners go
	retired bool            // never in the place again
}

// Init prepares the gate of the worker with this id, for so many busy at once, 0 for no
// limit, which tells the others in this place, nil for nowhere.
func (g *Gate) Init(limit int64, place *scoreboard.Place, id uint64) {
	g.mark.Store(-1)
	g.limit, g.place, g.id = limit, place, id
	g.on = g.limit > 0 || g.place != nil
	if g.place != nil {
		g.place.SetBusy(0)
		g.place.SetOpen(0)
	}
}

// Busy returns what keeps this worker busy: requests, connections that are about to send
// their first one, and those about to be accepted.
func (g *Gate) Busy() int64 { return g.busy.Load() }

// Present tells the others whether this worker accepts connections at present.
func (g *Gate) Present(accepts bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.accepts = accepts
	g.occupy()
}

// occupy enters the place or leaves it.
func (g *Gate) occupy() {
	switch {
	case g.place == nil:
	case g.accepts && !g.retired && !g.held.Load():
		g.place.Enter(g.id, uint64(g.limit))
	default:
		g.place.Leave()
	}
}

// Retire tells the others that this worker will not accept connections any more.
func (g *Gate) Retire() {
	g.mu.Lock()
	g.retired = true
	g.mu.Unlock()
	g.Present(false)
}

// full reports whether there is no room for another connection.
func (g *Gate) full() bool { return g.limit > 0 && g.busy.Load() >= g.limit }

// Reserve makes room for a connection about to be accepted, and reports whether
// there was any. Force takes it all the same. It is followed by admit or cancel.
func (g *Gate) Reserve(force bool) bool {
	if !g.on {
		return true
	}
	if g.limit == 0 || force {
		g.busy.Add(1)
		return true
	}
	for {
		n := g.busy.Load()
		if n >= g.limit {
			return false
		}
		if g.busy.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Cancel gives back what reserve took.
func (g *Gate) Cancel() {
	if g.on {
		g.nudge(g.busy.Add(-1))
	}
}

// Admit counts a connection that reserve has made room for.
func (g *Gate) Admit(c *Ticket) {
	if !g.on {
		return
	}
	c.admitted = scoreboard.Monotonic()
	g.mu.Lock()
	g.fresh.add(c)
	g.mu.Unlock()
	g.tell()
}

// Begin counts a request that begins on a connection, nil for an unknown one. It
// is followed by end.
func (g *Gate) Begin(c *Ticket) {
	if !g.on || c != nil && g.takeOver(c) {
		return
	}
	g.busy.Add(1)
	g.tell()
}

// End takes off what begin has counted.
func (g *Gate) End() {
	if !g.on {
		return
	}
	n := g.busy.Add(-1)
	g.ended.Add(1)
	g.tell()
	g.nudge(n)
}

// Forget counts a connection that is closed, and takes it off if it still counts as a
// request.
func (g *Gate) Forget(c *Ticket) {
	if !g.on {
		return
	}
	g.closed.Add(1)
	if g.takeOver(c) {
		g.End()
	}
}

// takeOver has what counted for a fresh connection count for something else, and reports
// whether it did.
func (g *Gate) takeOver(c *Ticket) bool {
	if !c.fresh.Load() {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fresh.remove(c)
}

// expireFresh takes off the connections that are not fresh any more, and returns how long the
// next one has left, 0 if there is none.
func (g *Gate) expireFresh() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.fresh.first
	for c := before; c != nil; c = g.fresh.first {
		if left := protocol.FreshConnection - time.Duration(scoreboard.Monotonic()-c.admitted); left > 0 {
			if c != before {
				g.tell()
			}
			return left
		}
		g.fresh.remove(c)
		g.busy.Add(-1)
	}
	if before != nil {
		g.tell()
	}
	return 0
}

// tell writes the count for the others to see. Of two calls at the same time the
// older count may stay, until the next one.
func (g *Gate) tell() {
	if g.place != nil {
		g.place.SetBusy(uint64(max(0, g.busy.Load())))
	}
}

// TellOpen tells the others how many connections are open.
func (g *Gate) TellOpen(n int) {
	if g.place != nil {
		g.place.SetOpen(uint64(n))
	}
}

// nudge wakes the listeners that wait, if busy has gone down far enough.
func (g *Gate) nudge(busy int64) {
	if busy > g.mark.Load() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.wakes {
		wake(c)
	}
}

// await has nudge wake the listeners when busy goes down to the mark, until release.
func (g *Gate) await(mark int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting++
	g.mark.Store(max(mark, g.mark.Load()))
}

func (g *Gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting--; g.waiting == 0 {
		g.mark.Store(-1)
	}
}

// attend has nudge wake the listener that waits on this channel.
func (g *Gate) attend(c chan struct{}) {
	g.mu.Lock()
	g.wakes = append(g.wakes, c)
	g.mu.Unlock()
}

// wake leaves a value that says no more than that there is something to look at.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// A Ticket is what the gate knows of a connection. The zero value is one of a connection
// that was not admitted.
type Ticket struct {
	fresh          atomic.Bool
	admitted       int64   // when, in Monotonic nanoseconds
	previous, next *Ticket // guarded by the gate
}

// freshList holds the connections that count without a request, oldest first. The
// links are in the tickets.
type freshList struct {
	first, last *Ticket
}

func (l *freshList) add(c *Ticket) {
	c.fresh.Store(true)
	c.previous = l.last
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
}

// remove reports whether the connection was there.
func (l *freshList) remove(c *Ticket) bool {
	if !c.fresh.Load() {
		return false
	}
	c.fresh.Store(false)
	if c.previous != nil {
		c.previous.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.previous = c.previous
	} else {
		l.last = c.previous
	}
	c.previous, c.next = nil, nil
	return true
}

// Hold has no listener accept anything, nor the others see this worker, until Release.
func (g *Gate) Hold() { g.held.Store(true) }

// Held reports whether that is so.
func (g *Gate) Held() bool { return g.held.Load() }

// Release has the listeners accept from now on.
func (g *Gate) Release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.held.Swap(false) {
		return
	}
	g.occupy()
	for _, c := range g.wakes {
		wake(c)
	}
}
