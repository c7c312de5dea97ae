//go:build linux

package worker

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// helperSleep answers with its place, after the time asked for.
func helperSleep() error {
	return ListenAndServe("203.0.113.1:1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.URL.Query().Get("d"))
		rest(d)
		io.WriteString(w, os.Getenv(protocol.EnvPlace))
	}))
}

// newFleet makes the memory of a fleet of up to 1024 workers, as the master does.
func newFleet(t testing.TB) *scoreboard.Fleet {
	t.Helper()
	fleet, err := scoreboard.CreateFleet(1024)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fleet.Close() })
	return fleet
}

// A crew is some worker processes on one socket and one fleet page.
type crew struct {
	held    *net.TCPListener
	fleet   *scoreboard.Fleet
	workers []*child
}

func newCrew(t testing.TB, n int, env ...string) *crew {
	t.Helper()
	c := &crew{held: hold(t), fleet: newFleet(t)}
	for place := range n {
		c.workers = append(c.workers, spawnIn(t, c.fleet, place, "sleep", []*net.TCPListener{c.held}, env...))
	}
	for _, w := range c.workers {
		w.expect(t, "READY=1")
	}
	return c
}

// request opens a connection for one request and returns the place that answered.
func (c *crew) request(d time.Duration) (place int, err error) {
	conn, err := connect("tcp", c.held.Addr().String())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	res, err := conn.get("/?d=" + d.String())
	if err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %s", res.Status)
	}
	body, _ := io.ReadAll(res.Body)
	return strconv.Atoi(string(body))
}

// burst sends n requests and returns how many each place answered.
func (c *crew) burst(t testing.TB, n int, apart, d time.Duration) []int {
	t.Helper()
	counts := make([]int, len(c.workers))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			place, err := c.request(d)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			counts[place]++
			mu.Unlock()
		})
		rest(apart)
	}
	wg.Wait()
	return counts
}

// TestSpread has requests that last for longer than all of them take to arrive.
func TestSpread(t *testing.T) {
	c := newCrew(t, 4)
	var spreads []int
	for _, apart := range []time.Duration{10 * time.Millisecond, 0, time.Millisecond, 10 * time.Millisecond, 0} {
		counts := c.burst(t, 40, apart, time.Second)
		t.Logf("%v apart: %v", apart, counts)
		spreads = append(spreads, slices.Max(counts)-slices.Min(counts))
	}
	slices.Sort(spreads)
	// Not the worst: on a busy machine a worker may get no processor for all of a burst.
	if median := spreads[len(spreads)/2]; median > 2 {
		t.Errorf("spreads %v", spreads)
	}
}

// TestLimit has twice as many requests as the workers may have at a time.
func TestLimit(t *testing.T) {
	t.Parallel()
	c := newCrew(t, 2, protocol.EnvLimitConnections+"=2")
	begin := time.Now()
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := c.request(time.Second); err != nil {
				t.Error(err)
			}
			mu.Lock()
			took = append(took, time.Since(begin))
			mu.Unlock()
		})
	}
	wg.Wait()
	slices.Sort(took)
	t.Log(took)
	for i, d := range took {
		want := time.Duration(1+i/4) * time.Second
		if d < want || d > want+late {
			t.Errorf("request %d after %v, want %v", i, d, want)
		}
	}
}
