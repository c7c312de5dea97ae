//go:build linux

package worker

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

// TestNobodySleepsOnAFullQueue has more clients than the workers may serve, so that
// listeners wait for room and for each other all the time. If one of them missed
// that, a request would take for ever, or at least for very long.
func TestNobodySleepsOnAFullQueue(t *testing.T) {
	c := newCrew(t, 3, protocol.EnvLimitConnections+"=2")
	const clients, each = 24, 150
	slowest := make(chan time.Duration, clients)
	for range clients {
		go func() {
			var worst time.Duration
			for range each {
				begin := time.Now()
				if _, err := c.request(rand.N(2 * time.Millisecond)); err != nil {
					t.Error(err)
				}
				worst = max(worst, time.Since(begin))
			}
			slowest <- worst
		}()
	}
	var worst time.Duration
	for range clients {
		worst = max(worst, await(t, slowest))
	}
	t.Logf("%d requests, the slowest in %v", clients*each, worst)
	if worst > 5*time.Second {
		t.Errorf("a request took %v", worst)
	}
}

// BenchmarkAccept makes a connection for each request.
func BenchmarkAccept(b *testing.B) {
	run := func(b *testing.B, addr string) {
		b.ReportAllocs()
		for b.Loop() {
			c, err := connect("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := c.get("/"); err != nil {
				b.Fatal(err)
			}
			c.Close()
		}
	}
	b.Run("bare", func(b *testing.B) {
		held := hold(b)
		srv := &http.Server{Handler: http.HandlerFunc(ok)}
		go srv.Serve(share(b, held))
		defer srv.Close()
		run(b, held.Addr().String())
	})
	b.Run("worker", func(b *testing.B) {
		f := start(b, &http.Server{Handler: http.HandlerFunc(ok)}, time.Minute, hold(b))
		run(b, f.addr)
	})
}

// BenchmarkCrew has two workers, with and without a page and a limit, and a new
// connection for each request: one at a time, when nothing is ever uneven, and 16 at a
// time, when it is all the time.
func BenchmarkCrew(b *testing.B) {
	for _, clients := range []int{1, 16} {
		for _, kind := range []string{"neither", "page", "page and limit"} {
			b.Run(fmt.Sprintf("%d/%s", clients, kind), func(b *testing.B) {
				var env []string
				if kind == "neither" {
					env = append(env, protocol.EnvFleetFD+"=")
				}
				if kind == "page and limit" {
					env = append(env, protocol.EnvLimitConnections+"=1000")
				}
				c := newCrew(b, 2, env...)
				before := c.cpu(b)
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				for range clients {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := c.request(0); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(c.cpu(b)-before)/float64(b.N), "worker-cpu-ns/op")
			})
		}
	}
}

// cpu returns the processor time that the workers have used.
func (c *crew) cpu(b *testing.B) (total time.Duration) {
	b.Helper()
	for _, w := range c.workers {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.cmd.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		// After the name, which ends with the last parenthesis: proc_pid_stat(5).
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, ticks := range fields[11:13] {
			n, err := strconv.Atoi(ticks)
			if err != nil {
				b.Fatal(err)
			}
			total += time.Duration(n) * (time.Second / 100)
		}
	}
	return total
}
