//go:build linux

package worker

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/internal/intake"
	"github.com/gosuper/gosuper/worker/protocol"
)

// freeze stops the process, and waits until it has.
func (c *child) freeze(t *testing.T) {
	t.Helper()
	c.signal(t, syscall.SIGSTOP)
	until(t, "it stops", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
		return err == nil && strings.Contains(string(status), "State:\tT")
	})
}

// TestBacklogTimeout lets requests wait in the queue of a worker that is stopped.
func TestBacklogTimeout(t *testing.T) {
	t.Parallel()
	held := hold(t)
	c := spawn(t, "serve", []*net.TCPListener{held}, protocol.EnvLimitBacklogTimeout+"=1000")
	c.expect(t, "READY=1")
	addr := held.Addr().String()
	used := dial(t, addr)
	used.mustGet(t, "/")
	c.freeze(t)
	asks, silent := dial(t, addr), dial(t, addr)
	for _, conn := range []*client{used, asks} {
		if err := conn.send("/"); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(1100 * time.Millisecond) // which is too long, and is what is tested
	fresh := dial(t, addr)
	if err := fresh.send("/"); err != nil {
		t.Fatal(err)
	}
	c.signal(t, syscall.SIGCONT)
	res, err := asks.receive()
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusServiceUnavailable || !res.Close || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s, %v for what waited too long", res.Status, res.Header)
	}
	asks.awaitEOF(t)
	if res, err := fresh.receive(); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%v, %v for what waited shortly", res, err)
	}
	// Waited outside of the queue, and not at all.
	if res, err := used.receive(); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%v, %v for the second request of a connection", res, err)
	}
	silent.mustGet(t, "/")
}

// helperFew is a web server that has very few descriptors left.
func helperFew() error {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	// The socket's, the poller's, that of its eventfd and those of signals come on top.
	allowed := uint64(len(fds)) + 12
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: allowed, Max: allowed}); err != nil {
		return err
	}
	return ListenAndServe("203.0.113.1:1", http.HandlerFunc(ok))
}

// TestNoDescriptors opens connections until one gets no answer, and then closes
// them: each one that waited gets its answer, and the worker has complained once.
func TestNoDescriptors(t *testing.T) {
	held := hold(t)
	c := spawn(t, "few", []*net.TCPListener{held})
	c.expect(t, "READY=1")
	var open []*client
	for {
		conn := dial(t, held.Addr().String())
		if err := conn.send("/"); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, err := conn.r.Peek(1)
		conn.SetReadDeadline(time.Now().Add(forever))
		if err != nil {
			open = append(open, conn)
			break
		}
		if _, err := conn.receive(); err != nil {
			t.Fatal(err)
		}
		if open = append(open, conn); len(open) > 20 {
			t.Fatal("there is no end of descriptors")
		}
	}
	waiting := open[len(open)-1:]
	for range 3 {
		conn := dial(t, held.Addr().String())
		if err := conn.send("/"); err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, conn)
	}
	t.Logf("%d connections answered", len(open)-1)
	for _, conn := range open[:len(open)-1] {
		conn.Close()
	}
	for i, conn := range waiting {
		if _, err := conn.receive(); err != nil {
			t.Errorf("connection %d that waited: %v", i, err)
		}
		conn.Close()
	}
	c.signal(t, syscall.SIGTERM)
	c.expect(t, "STOPPING=1")
	c.awaitExit(t)
	if n := strings.Count(c.output.String(), "cannot accept"); n != 1 {
		t.Errorf("complains %d times:\n%s", n, &c.output)
	}
}

// TestLimitCounts looks at who counts, with a limit of one.
func TestLimitCounts(t *testing.T) {
	t.Parallel()
	c := newCrew(t, 1, protocol.EnvLimitConnections+"=1")
	addr := c.held.Addr().String()
	busy := func() uint64 { return c.fleet.Occupant(0).Busy }

	idle := dial(t, addr)
	idle.mustGet(t, "/?d=0s")
	until(t, "an idle connection does not count", func() bool { return busy() == 0 })

	begin := time.Now()
	silent := dial(t, addr)
	until(t, "a fresh one does", func() bool { return busy() == 1 })
	second := dial(t, addr)
	second.mustGet(t, "/?d=0s")
	if d := time.Since(begin); d < protocol.FreshConnection || d > protocol.FreshConnection+late {
		t.Errorf("a silent connection keeps others out for %v, want %v", d, protocol.FreshConnection)
	}

	// The worker is full with this one, and serves what is open all the same.
	if err := silent.send("/?d=1s"); err != nil {
		t.Fatal(err)
	}
	until(t, "it counts again", func() bool { return busy() == 1 })
	idle.mustGet(t, "/?d=0s")
	begin = time.Now()
	next := dial(t, addr)
	next.mustGet(t, "/?d=0s")
	if d := time.Since(begin); d < 500*time.Millisecond {
		t.Errorf("a full worker answers a new connection after %v", d)
	}
	// Room is made by a fresh connection that closes, too.
	within(t, 0, protocol.FreshConnection/2, func() time.Duration {
		dial(t, addr).Close()
		next := dial(t, addr)
		begin := time.Now()
		next.mustGet(t, "/?d=0s")
		return time.Since(begin)
	})
	if _, err := silent.receive(); err != nil {
		t.Error(err)
	}
}

// TestStoppedWorkerIsNotWaitedFor has an idle worker that hangs, and one that is
// busier and has to do it all.
func TestStoppedWorkerIsNotWaitedFor(t *testing.T) {
	c := newCrew(t, 2)
	c.workers[0].freeze(t)
	done := make(chan error, 1)
	go func() {
		place, err := c.request(2 * time.Second)
		if place != 1 && err == nil {
			err = fmt.Errorf("place %d answers", place)
		}
		done <- err
	}()
	until(t, "the other one is busy", func() bool { return c.fleet.Occupant(1).Busy == 1 })
	var took []time.Duration
	for range 201 {
		begin := time.Now()
		if _, err := c.request(0); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("median %v", took[100])
	if took[100] > intake.LongestYield {
		t.Error("each connection is left to it at first")
	}
	if err := await(t, done); err != nil {
		t.Error(err)
	}
	c.workers[0].signal(t, syscall.SIGCONT)
}

// TestDrainingWorkerLeavesThePage expects nobody to wait for one that ends.
func TestDrainingWorkerLeavesThePage(t *testing.T) {
	c := newCrew(t, 2)
	conn := dial(t, c.held.Addr().String())
	io.WriteString(conn, "GET /?d=1h HTTP/1.1\r\nHost: test\r\n\r\n")
	until(t, "one is busy", func() bool { return c.fleet.Occupant(0).Busy+c.fleet.Occupant(1).Busy == 1 })
	for place, w := range c.workers {
		if c.fleet.Occupant(place).ID == 0 {
			t.Errorf("place %d is empty", place)
		}
		w.signal(t, syscall.SIGTERM)
		w.expect(t, "STOPPING=1")
		until(t, "it leaves", func() bool { return c.fleet.Occupant(place).ID == 0 })
	}
}
