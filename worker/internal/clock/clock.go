// Package clock has alarms: timers for deadlines that are moved all the time, and hardly
// ever reached.
package clock

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// An Alarm goes off at a time of [scoreboard.Monotonic]. It is only ever moved to an
// earlier time, which costs one load when it is early enough already; whoever has put
// its deadline off looks, when the alarm goes off, when that is really due, and sets it
// again. The zero value has to be initialised before its first use, and not be copied.
//
// All alarms share one timer.
type Alarm struct {
	ring func(at int64) // see Init

	at    atomic.Int64 // when it goes off, in Monotonic nanoseconds, 0 if it does not; written with alarms.mu
	index int          // in alarms.set while at is not 0; guarded by alarms.mu
}

// Init prepares the alarm. Ring is called on a goroutine of its own, with the time for
// which the alarm was set.
func (a *Alarm) Init(ring func(at int64)) { a.ring = ring }

// By has the alarm go off no later than at, which is positive, and reports whether it
// was not to do so before. One that goes off from here on has not been missed: it is
// unset before ring is called.
func (a *Alarm) By(at int64) bool {
	if is := a.at.Load(); is != 0 && is <= at {
		return false
	}
	return alarms.bring(a, at)
}

// Stop unsets the alarm, and nothing holds on to it any more. It may be going off at
// this very moment.
func (a *Alarm) Stop() { alarms.remove(a) }

// alarms are those of this process that are set.
var alarms alarmClock

type alarmClock struct {
	mu     sync.Mutex // guards what follows
	set    alarmHeap
	next   int64          // when ring is called, in Monotonic nanoseconds, 0 if it is not
	wakeAt func(at int64) // nil before the first use
}

// bring moves the alarm forward, unless it is early enough.
func (c *alarmClock) bring(a *Alarm, at int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch is := a.at.Load(); {
	case is == 0:
		a.at.Store(at)
		heap.Push(&c.set, a)
	case at < is:
		a.at.Store(at)
		heap.Fix(&c.set, a.index)
	default:
		return false
	}
	c.schedule()
	return true
}

func (c *alarmClock) remove(a *Alarm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.at.Load() != 0 {
		heap.Remove(&c.set, a.index)
		a.at.Store(0)
	}
}

// schedule sees to it that ring is called for the first alarm. A call too early, for
// one that was removed, is cheaper than moving it each time.
func (c *alarmClock) schedule() {
	if len(c.set) == 0 {
		return
	}
	first := c.set[0].at.Load()
	if c.next != 0 && c.next <= first {
		return
	}
	if c.wakeAt == nil {
		c.wakeAt = newTimer(c.ring)
	}
	c.next = first
	c.wakeAt(first)
}

// ring has the alarms go off whose time has come.
func (c *alarmClock) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = 0
	for now := scoreboard.Monotonic(); len(c.set) > 0 && c.set[0].at.Load() <= now; {
		a := heap.Pop(&c.set).(*Alarm)
		go a.ring(a.at.Swap(0))
	}
	c.schedule()
}

// newTimer returns a function that has ring called at a time, instead of any that was
// given before.
func newTimer(ring func()) func(at int64) {
	timer := time.AfterFunc(time.Hour, ring)
	timer.Stop()
	return func(at int64) { timer.Reset(time.Duration(at - scoreboard.Monotonic())) }
}

// alarmHeap is for package heap, the next alarm first.
type alarmHeap []*Alarm

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].at.Load() < h[j].at.Load() }

func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *alarmHeap) Push(x any) {
	a := x.(*Alarm)
	a.index = len(*h)
	*h = append(*h, a)
}

func (h *alarmHeap) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return a
}
