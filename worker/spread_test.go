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
	"github.com/gosuper/gosuper/worker/scoreboard"
)

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

func TestConsider(t *testing.T) {
	type occupant struct{ id, busy, open, capacity uint64 }
	tests := []struct {
		name       string
		busy, open uint64
		others     []occupant // in places 1, 2, ...
		want       time.Duration
		place      int
	}{
		{"nobody else", 5, 5, nil, 0, 0},
		{"nothing to do", 0, 0, []occupant{{1, 0, 0, 0}}, 0, 0},
		{"even", 3, 3, []occupant{{1, 3, 3, 0}, {2, 4, 1, 0}}, 0, 0},
		{"least busy of several", 4, 4, []occupant{{1, 3, 0, 0}, {2, 1, 9, 0}, {3, 2, 0, 0}}, longestYield * 3 / 4, 2},
		{"an idle one", 1, 1, []occupant{{1, 0, 0, 0}}, longestYield, 1},
		{"hardly less busy", 100, 100, []occupant{{1, 99, 0, 0}}, 0, 0},
		{"as busy, fewer open", 2, 4, []occupant{{1, 2, 2, 0}}, longestYield / 2, 1},
		{"as busy, one open less", 2, 4, []occupant{{1, 2, 3, 0}}, 0, 0},
		{"idle, fewer open", 0, 2, []occupant{{1, 0, 0, 0}}, longestYield, 1},
		{"full", 4, 4, []occupant{{1, 2, 0, 2}, {2, 3, 0, 4}}, longestYield / 4, 2},
		{"gone", 4, 4, []occupant{{0, 0, 0, 0}}, 0, 0},
		{"absurd", 4, 4, []occupant{{1, 1 << 63, 1 << 63, 1 << 63}}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &spread{fleet: newFleet(t)}
			for i, o := range tt.others {
				p := s.fleet.Place(i + 1)
				p.SetBusy(o.busy)
				p.SetOpen(o.open)
				p.Enter(o.id, o.capacity)
			}
			if got := s.consider(standing{busy: tt.busy, open: tt.open}); got.time != tt.want || got.place != tt.place {
				t.Errorf("%+v, want %v for place %d", got, tt.want, tt.place)
			} else if got.time > 0 && got.until >= int64(tt.busy) {
				t.Errorf("%+v: owes nothing at %d", got, tt.busy)
			}
		})
	}
}

// TestDisregard follows a worker that lets connections wait.
func TestDisregard(t *testing.T) {
	s := &spread{fleet: newFleet(t)}
	p := s.fleet.Place(9)
	p.Enter(1, 0)
	waits := func() bool { return s.consider(standing{busy: 2, open: 2}).time > 0 }
	var total time.Duration
	for range 12 {
		s.disregard(9)
		was := s.silent[9]
		total += was.length
		was.until = scoreboard.Monotonic() + int64(time.Hour)
		if s.silent[9] = was; waits() {
			t.Fatal("waits for a worker that does not react")
		}
		was.until = 0
		s.silent[9] = was
		if !waits() {
			t.Fatal("gives it up for good")
		}
	}
	if total < time.Second {
		t.Errorf("waited for 12 times within %v", total)
	}
	s.disregard(9)
	p.SetBusy(1)
	if !waits() {
		t.Error("does not see a sign of life")
	}
	s.disregard(9)
	if s.silent[9].length != firstSilence {
		t.Errorf("%v of silence after a sign of life", s.silent[9].length)
	}
	p.Enter(2, 0)
	if !waits() {
		t.Error("takes a new worker for the old one")
	}
}

// TestGate does random things to connections, and counts for itself.
func TestGate(t *testing.T) {
	p := newProcess(inheritance{fleet: newFleet(t), connections: 10}, nil)
	g := &p.gate
	g.id = 1
	g.present(true)
	rng := rand.New(rand.NewPCG(1, 2))
	type conn struct {
		*connection
		young, busy bool
	}
	var conns []*conn
	want := int64(0)
	for range 100_000 {
		switch k := rng.IntN(5); {
		case k == 0:
			if got := g.reserve(false); got != (want < 10) {
				t.Fatalf("reserve() = %v at %d", got, want)
			} else if !got {
				continue
			}
			c := &conn{connection: new(connection), young: true}
			g.admit(c.connection)
			conns = append(conns, c)
			want++
		case len(conns) == 0:
		case k == 1 || k == 2:
			c := conns[rng.IntN(len(conns))]
			if c.busy {
				g.end()
				c.busy = false
				want--
			} else {
				g.begin(c.connection)
				if !c.young {
					want++
				}
				c.young, c.busy = false, true
			}
		case k == 3:
			i := rng.IntN(len(conns))
			if c := conns[i]; !c.busy {
				g.forget(c.connection)
				if c.young {
					want--
				}
				conns = append(conns[:i], conns[i+1:]...)
			}
		case k == 4 && rng.IntN(10) == 0:
			// A second passes for the oldest half.
			old := len(conns) / 2
			for _, c := range conns[:old] {
				c.born -= int64(youth)
				if c.young {
					want--
				}
				c.young = false
			}
			g.settle()
		}
		if got := g.busy.Load(); got != want {
			t.Fatalf("busy %d, want %d", got, want)
		}
		if told := p.fleet.Occupant(0).Busy; told != uint64(want) {
			t.Fatalf("tells %d, want %d", told, want)
		}
	}
}

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

// BenchmarkGate is what the gate adds to one request of a kept-alive connection, and
// what a look at the others costs.
func BenchmarkGate(b *testing.B) {
	p := newProcess(inheritance{fleet: newFleet(b), connections: 1000}, nil)
	for place := 1; place < 64; place++ {
		o := p.fleet.Place(place)
		o.SetBusy(2)
		o.Enter(uint64(place), 1000)
	}
	b.Run("request", func(b *testing.B) {
		c := new(connection)
		for b.Loop() {
			p.gate.begin(c)
			p.gate.end()
		}
	})
	b.Run("look at 63", func(b *testing.B) {
		s := &spread{fleet: p.fleet}
		for b.Loop() {
			s.consider(standing{busy: 2})
		}
	})
}
