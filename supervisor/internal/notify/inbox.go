//go:build linux

package notify

import (
	"sync"
	"time"
)

const (
	// Past deliverBurst deliveries the loop hears of a worker every deliverEvery, urgent news excepted.
	deliverBurst = 10
	deliverEvery = 100 * time.Millisecond
)

// An inbox passes on what is new, at a bounded rate.
type inbox struct {
	// mu guards all of it. It is held while deliver runs, which keeps deliveries in order and lets close wait.
	mu      sync.Mutex    `state:"-"`
	deliver func(Message) `state:"-"`
	done    chan struct{} `state:"-"`       // closed when nothing is to be delivered any more
	known   Message       `state:"known"`   // what was delivered so far
	pending Message       `state:"pending"` // what is to be delivered next
	full    time.Time     `state:"-"`       // when all of the burst is available again
	timer   *time.Timer   `state:"-"`       // runs while something is pending
	held    bool          `state:"-"`       // what is pending stays so
}

// put takes a message in. It returns once the message was delivered, or noted for later, or found to be old.
func (i *inbox) put(m Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	m = i.news(m)
	if m == (Message{}) {
		return
	}
	i.merge(m)
	wait := i.wait()
	switch {
	case wait <= 0 || m.Ready || m.Stopping || m.Recycle != "":
		i.flush()
	case i.timer == nil:
		i.timer = time.AfterFunc(wait, i.late)
	}
}

// news is m less what is known.
func (i *inbox) news(m Message) Message {
	latest := i.known.Status
	if i.pending.HasStatus {
		latest = i.pending.Status
	}
	if m.Status == latest {
		m.HasStatus, m.Status = false, ""
	}
	m.Ready = m.Ready && !i.known.Ready
	m.Stopping = m.Stopping && !i.known.Stopping
	if i.known.Recycle != "" {
		m.Recycle = ""
	}
	return m
}

func (i *inbox) merge(m Message) {
	i.pending.Ready = i.pending.Ready || m.Ready
	i.pending.Stopping = i.pending.Stopping || m.Stopping
	i.pending.Watchdog = i.pending.Watchdog || m.Watchdog
	if m.HasStatus {
		i.pending.HasStatus, i.pending.Status = true, m.Status
	}
	if m.ExtendTimeout != 0 {
		i.pending.ExtendTimeout = m.ExtendTimeout
	}
	if m.Recycle != "" {
		i.pending.Recycle = m.Recycle
	}
}

// wait is how long a delivery has to be put off, a token bucket kept as the time at which it is full again.
func (i *inbox) wait() time.Duration {
	return max(0, time.Until(i.full)) - (deliverBurst-1)*deliverEvery
}

// flush delivers what is pending.
func (i *inbox) flush() {
	if i.timer != nil {
		i.timer.Stop()
		i.timer = nil
	}
	m := i.pending
	if m == (Message{}) || i.held || i.closed() {
		return
	}
	i.pending = Message{}
	i.known.Ready = i.known.Ready || m.Ready
	i.known.Stopping = i.known.Stopping || m.Stopping
	if m.HasStatus {
		i.known.Status = m.Status
	}
	if m.Recycle != "" {
		i.known.Recycle = m.Recycle
	}
	if now := time.Now(); i.full.Before(now) {
		i.full = now
	}
	i.full = i.full.Add(deliverEvery)
	i.deliver(m)
}

// late delivers what was put off.
func (i *inbox) late() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.flush()
}

// drain returns when everything put in before was delivered, which takes as long as the rate demands, or until stop
// is closed.
func (i *inbox) drain(stop <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pending == (Message{}) {
		return
	}
	wait := i.wait()
	i.mu.Unlock()
	pause(wait, stop)
	i.mu.Lock()
	i.flush()
}

// hold keeps new deliveries from starting and returns when none is under way.
func (i *inbox) hold() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.held = true
}

// resume lets deliveries begin, with what was held.
func (i *inbox) resume(deliver func(Message)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.deliver, i.held = deliver, false
	if i.pending != (Message{}) && i.timer == nil {
		i.timer = time.AfterFunc(i.wait(), i.late)
	}
}

func (i *inbox) closed() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}

// close keeps new deliveries from starting and returns when none is under way.
func (i *inbox) close() {
	close(i.done)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.timer != nil {
		i.timer.Stop()
	}
}

// pause returns after d, or when stop is closed.
func pause(d time.Duration, stop <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop:
	}
}
