//go:build linux

package worker

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

// A load is one client that never sends anything twice and counts what it loses.
// It ends, between two requests, when stop is closed.
type load struct {
	addr  string
	stop  chan struct{}
	done  atomic.Int64
	mu    sync.Mutex // guards lost
	lost  []error
	begun sync.WaitGroup
}

// run starts n clients that use each connection for as long as the server lets
// them, or for one request only, and wait between two requests.
func (l *load) run(n int, reuse bool, pause time.Duration) {
	for range n {
		l.begun.Go(func() {
			var c *client
			for {
				select {
				case <-l.stop:
					if c != nil {
						c.Close()
					}
					return
				case <-time.After(pause):
				}
				var err error
				if c, err = l.request(c, reuse); err != nil {
					l.mu.Lock()
					l.lost = append(l.lost, err)
					l.mu.Unlock()
				}
			}
		})
	}
}

// request sends one request over c, or a new connection if it is nil, and returns
// the connection if it can be used again.
func (l *load) request(c *client, reuse bool) (*client, error) {
	if c == nil {
		var err error
		if c, err = connect("tcp", l.addr); err != nil {
			return nil, err
		}
	}
	res, err := c.get("/")
	if err != nil {
		c.Close()
		return nil, err
	}
	l.done.Add(1)
	if res.Close || !reuse {
		c.Close()
		return nil, nil
	}
	return c, nil
}

// TestReplaceUnderLoad replaces the workers on one socket one by one, each when its
// successor is ready, under three kinds of load at once: a new connection for each
// request, connections used without a pause, and connections used now and then.
func TestReplaceUnderLoad(t *testing.T) {
	const (
		least        = 10_000
		replacements = 8
	)
	held := hold(t)
	spawnReady := func() *child {
		c := spawn(t, "serve", []*net.TCPListener{held}, protocol.EnvLimitKeepAlive+"=1000")
		c.expect(t, "READY=1")
		return c
	}
	workers := []*child{spawnReady(), spawnReady()}
	l := &load{addr: held.Addr().String(), stop: make(chan struct{})}
	l.run(3, false, 0)
	l.run(3, true, 0)
	l.run(16, true, 20*time.Millisecond)

	replaced := 0
	var answered uint64
	for replaced < replacements || l.done.Load() < least {
		workers = append(workers, spawnReady())
		old := workers[0]
		workers = workers[1:]
		old.view.SetDrainUntil(in(forever))
		old.signal(t, syscall.SIGUSR2)
		old.awaitExit(t)
		c := old.view.Counters()
		if c.Open != 0 || c.Started != c.Finished {
			t.Errorf("a worker is gone with %+v", c)
		}
		answered += c.Status[1]
		replaced++
	}
	close(l.stop)
	l.begun.Wait()
	for _, c := range workers {
		c.view.SetDrainUntil(in(forever))
		c.signal(t, syscall.SIGUSR2)
		c.awaitExit(t)
		answered += c.view.Counters().Status[1]
	}
	t.Logf("%d requests, %d replacements, %d lost", l.done.Load(), replaced, len(l.lost))
	if err := errors.Join(l.lost...); err != nil {
		t.Errorf("lost %d requests:\n%v", len(l.lost), err)
	}
	if answered != uint64(l.done.Load()) {
		t.Errorf("the boards count %d answers, the clients %d", answered, l.done.Load())
	}
}

// TestQueueGoesToTheOthers stops a worker that never got to accept: what waits in
// the queue of the shared socket is answered by the next one.
func TestQueueGoesToTheOthers(t *testing.T) {
	held := hold(t)
	first := spawn(t, "serve", []*net.TCPListener{held})
	first.expect(t, "READY=1")
	first.signal(t, syscall.SIGSTOP)
	first.signal(t, syscall.SIGUSR2) // delivered when it continues
	var queued []*client
	for range 50 {
		c := dial(t, held.Addr().String())
		if err := c.send("/"); err != nil {
			t.Fatal(err)
		}
		queued = append(queued, c)
	}
	second := spawn(t, "serve", []*net.TCPListener{held})
	second.expect(t, "READY=1")
	first.view.SetDrainUntil(in(forever))
	first.signal(t, syscall.SIGCONT)
	for i, c := range queued {
		if _, err := c.receive(); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
		c.Close()
	}
	first.awaitExit(t)
	second.signal(t, syscall.SIGUSR2)
	second.awaitExit(t)
	n := first.view.Counters().Finished + second.view.Counters().Finished
	if n != 50 {
		t.Errorf("%d requests answered, want 50", n)
	}
}
