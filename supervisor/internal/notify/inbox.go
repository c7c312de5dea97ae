//go:build linux

package notify

import (
	"sync"
	"time"
)

// deliverEvery is how often the loop hears of a worker at most, urgent news excepted.
const deliverEvery = 100 * time.Millisecond

// An inbox merges what is new, and passes it on at once, or deliverEvery after the delivery before.
type inbox struct {
	// mu guards all of it. It is held while deliver runs, which keeps deliveries in order and lets quiesce wait.
	mu      sync.Mutex         `state:"-"`
	deliver func(Message) bool `state:"-"`
	done    chan struct{}      `state:"-"`       // closed when nothing is to be delivered any more
	known   Message            `state:"known"`   // what was delivered so far
	pending Message            `state:"pending"` // what is to be delivered next
	next    time.Time          `state:"-"`       // when a delivery is due again
	timer   *time.Timer        `state:"-"`       // calls late; nil before its first use
	held    bool               `state:"-"`       // what is pending stays so
}

// put takes a message in. It returns once the message was delivered, or noted for later, or found to be old.
func (i *inbox) put(m Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.merge(m)
	i.pass()
}

// merge adds to what is pending what m says beyond what is known.
func (i *inbox) merge(m Message) {
	p, known := &i.pending, &i.known
	p.Ready = p.Ready || m.Ready && !known.Ready
	p.Stopping = p.Stopping || m.Stopping && !known.Stopping
	p.Failed = p.Failed || m.Failed && !known.Failed
	p.Watchdog = p.Watchdog || m.Watchdog
	p.Failing = p.Failing || m.Failing
	p.Busy = p.Busy || m.Busy
	if m.HasStatus && (p.HasStatus || m.Status != known.Status) {
		p.HasStatus, p.Status = true, m.Status
	}
	if m.ExtendTimeout != 0 {
		p.ExtendTimeout = m.ExtendTimeout
	}
	if known.Recycle == "" && m.Recycle != "" {
		p.Recycle = m.Recycle
	}
}

// pass delivers what is pending, or has that done when it is time.
func (i *inbox) pass() {
	wait := time.Until(i.next)
	switch p := i.pending; {
	case p == (Message{}):
	case wait <= 0 || p.Ready || p.Stopping || p.Failed || p.Recycle != "" || p.Failing && !i.known.Failing:
		i.flush()
	default:
		i.passIn(wait)
	}
}

// passIn has pass called then.
func (i *inbox) passIn(wait time.Duration) {
	if i.timer == nil {
		i.timer = time.AfterFunc(wait, i.late)
	} else {
		i.timer.Reset(wait)
	}
}

// flush delivers what is pending.
func (i *inbox) flush() {
	m := i.pending
	if m == (Message{}) || i.held || i.closed() {
		return
	}
	i.pending = Message{}
	i.known.Ready = i.known.Ready || m.Ready
	i.known.Stopping = i.known.Stopping || m.Stopping
	i.known.Failed = i.known.Failed || m.Failed
	i.known.Failing = i.known.Failing || m.Failing
	if m.HasStatus {
		i.known.Status = m.Status
	}
	if m.Recycle != "" {
		i.known.Recycle = m.Recycle
	}
	i.next = time.Now().Add(deliverEvery)
	if !i.deliver(m) {
		i.pending = m
	}
}

// late delivers what was put off.
func (i *inbox) late() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pass()
}

// drain returns when everything put in before was delivered, which takes as long as the rate demands, or until stop
// is closed.
func (i *inbox) drain(stop <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pending == (Message{}) {
		return
	}
	wait := time.Until(i.next)
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

// resume lets deliveries begin, with what was held. It does not wait for them.
func (i *inbox) resume(deliver func(Message) bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.deliver, i.held = deliver, false
	i.passIn(0)
}

// take returns what nobody has taken, when nothing is delivered any more.
func (i *inbox) take() Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	m := i.pending
	i.pending = Message{}
	return m
}

func (i *inbox) closed() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}

// quiesce returns when no delivery is under way, after done was closed, which keeps new ones from starting.
func (i *inbox) quiesce() {
	i.mu.Lock()
	defer i.mu.Unlock()
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
