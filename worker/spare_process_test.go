//go:build linux

package worker

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

// spare is the variable of a worker that is to hold.
const spare = protocol.EnvSlot + "="

// release makes a spare the worker of a slot.
func (c *child) release(t testing.TB, slot int) {
	t.Helper()
	c.view.Release(slot)
	if _, err := io.WriteString(c.notify, protocol.NotifyLook); err != nil {
		t.Fatal(err)
	}
}

// switches is how often the threads of the worker had nothing left to do.
func (c *child) switches(t testing.TB) (n int) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(c.cmd.Process.Pid) + "/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		status, _ := os.ReadFile(task)
		for line := range strings.Lines(string(status)) {
			if value, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				more, _ := strconv.Atoi(strings.TrimSpace(value))
				n += more
			}
		}
	}
	return n
}

// A spare is ready, and nobody until it is told its slot.
func TestSpare(t *testing.T) {
	held, fleet := hold(t), newFleet(t)
	c := spawnIn(t, fleet, 1, "serve", []*net.TCPListener{held}, spare)
	c.expect(t, "READY=1")
	if !c.view.CanHold() || !c.view.CanTell() {
		t.Error("it does not say that it can hold, and tell when it is busy")
	}
	other := spawnIn(t, fleet, 0, "serve", []*net.TCPListener{held})
	other.expect(t, "READY=1")
	before := c.switches(t)
	for range 500 {
		conn := dial(t, held.Addr().String())
		res := conn.mustGet(t, "/")
		if body, _ := io.ReadAll(res.Body); string(body) != strconv.Itoa(other.cmd.Process.Pid) {
			t.Fatalf("process %s has answered", body)
		}
		conn.Close()
	}
	if n := c.switches(t) - before; n > 250 {
		t.Errorf("500 connections have woken it %d times", n)
	}
	if o := fleet.Occupant(1); o.ID != 0 {
		t.Errorf("worker %d is on the fleet page", o.ID)
	}

	c.release(t, 0)
	until(t, "it is on the fleet page", func() bool { return fleet.Occupant(1).ID == 7 })
}

// What waits when a spare gets its slot is accepted at once.
func TestSpareAccepts(t *testing.T) {
	within(t, 0, 10*protocol.HoldMargin, func() time.Duration {
		held := hold(t)
		c := spawn(t, "serve", []*net.TCPListener{held}, spare)
		c.expect(t, "READY=1")
		conn := dial(t, held.Addr().String())
		if err := conn.send("/environ"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.release(t, 3)
		res, err := conn.receive()
		took := time.Since(began)
		if err != nil {
			t.Fatal(err)
		}
		environ, _ := io.ReadAll(res.Body)
		if !slices.Contains(strings.Split(string(environ), "\n"), protocol.EnvSlot+"=3") {
			t.Errorf("it does not know its slot:\n%s", environ)
		}
		t.Logf("answered after %v", took)
		return took
	})
}

// What it was told before it was ready it knows.
func TestSpareTakenWhileStarting(t *testing.T) {
	held := hold(t)
	c := spawn(t, "lines", []*net.TCPListener{held}, spare)
	c.release(t, 1)
	c.expect(t, "READY=1")
	conn := dial(t, held.Addr().String())
	if _, err := io.WriteString(conn, "line"); err != nil {
		t.Fatal(err)
	}
	if got, err := conn.r.Peek(4); err != nil {
		t.Fatalf("%q, %v", got, err)
	}
}

// Told to finish it leaves what waits to others, also on a socket that is given up.
func TestSpareDrains(t *testing.T) {
	for _, helper := range []string{"serve", "lines"} {
		held := hold(t)
		c := spawn(t, helper, []*net.TCPListener{held}, spare)
		c.expect(t, "READY=1")
		dial(t, held.Addr().String())
		c.view.SetLeaving(1)
		c.view.SetDrainUntil(in(forever))
		c.signal(t, syscall.SIGUSR2)
		c.expect(t, "STOPPING=1")
		c.awaitExit(t)
		if n := c.view.Counters().Accepted; n != 0 {
			t.Errorf("%s: %d connections were accepted", helper, n)
		}
	}
}
