//go:build linux

package worker

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

var worstRounds = flag.Int("worst-rounds", 150, "rounds of TestWorstMoment")

// in returns the Monotonic moment that lies so far ahead.
func in(d time.Duration) int64 { return scoreboard.Monotonic() + int64(d) }

// TestWorstMoment lets clients use new and kept-alive connections at the very
// moment at which their worker begins to drain, while another worker holds the same
// socket. Not one request may be lost, and a connection that waits in the queue is
// taken by the other worker.
func TestWorstMoment(t *testing.T) {
	const clients = 12
	held := hold(t)
	requests, elsewhere := 0, uint64(0)
	for round := range *worstRounds {
		f := start(t, &http.Server{Handler: http.HandlerFunc(ok)}, forever, held)
		until(t, "the worker accepts", func() bool {
			h, _ := f.view.Header()
			return h.State == scoreboard.Ready
		})
		// A third of the connections have had a request, a third are silent so far,
		// a third do not exist yet.
		var open []*client
		for i := range clients * 2 / 3 {
			c := dial(t, held.Addr().String())
			if i%2 == 0 {
				c.mustGet(t, "/")
			}
			open = append(open, c)
		}
		var wg sync.WaitGroup
		begin := make(chan struct{})
		lost := make(chan error, clients)
		for i := range clients {
			wait := time.Duration(rand.IntN(300)) * time.Microsecond
			wg.Go(func() {
				<-begin
				pause(wait)
				var c *client
				if i < len(open) {
					c = open[i]
				} else {
					var err error
					if c, err = connect("tcp", held.Addr().String()); err != nil {
						lost <- err
						return
					}
				}
				defer c.Close()
				if _, err := c.get("/"); err != nil {
					lost <- fmt.Errorf("client %d: %w", i, err)
				}
			})
		}
		f.view.SetDrainUntil(in(forever))
		close(begin)
		pause(150 * time.Microsecond)
		f.drain()
		other := start(t, &http.Server{Handler: http.HandlerFunc(ok)}, forever, held)
		wg.Wait()
		f.awaitServed(t)
		other.drain()
		other.awaitServed(t)
		elsewhere += other.view.Counters().Finished
		close(lost)
		for err := range lost {
			t.Errorf("round %d: lost a request: %v", round, err)
		}
		requests += clients
		if c := f.view.Counters(); c.Open != 0 || c.Started != c.Finished {
			t.Errorf("round %d: drained with %+v", round, c)
		}
	}
	t.Logf("%d requests at the worst moment, %d of them taken by the other worker", requests, elsewhere)
}

// pause spins, since a timer is too coarse for moments this close together.
func pause(d time.Duration) {
	for begin := time.Now(); time.Since(begin) < d; {
	}
}

// TestLinger sends a request over an idle connection well into the drain.
func TestLinger(t *testing.T) {
	f := start(t, &http.Server{Handler: http.HandlerFunc(ok)}, forever, hold(t))
	used, fresh := dial(t, f.addr), dial(t, f.addr)
	if res := used.mustGet(t, "/"); res.Close {
		t.Error("closes before draining")
	}
	until(t, "both are accepted", func() bool { return f.view.Counters().Accepted == 2 })
	f.view.SetDrainUntil(in(forever))
	f.drain()
	for _, c := range []*client{used, fresh} {
		until(t, "Connection: close", func() bool { return c.mustGet(t, "/").Close })
		c.awaitEOF(t)
	}
	f.awaitServed(t)
}

// TestIdleConnectionsGetTheirTime measures how long the silent ones are kept.
func TestIdleConnectionsGetTheirTime(t *testing.T) {
	const keepAlive = 1200 * time.Millisecond
	tests := []struct {
		name     string
		idle     time.Duration // the caller's IdleTimeout
		used     bool          // the connection has had a request
		partial  bool          // and has begun to send another one
		min, max time.Duration
	}{
		{"idle", 0, true, false, keepAlive - 50*time.Millisecond, keepAlive + 500*time.Millisecond},
		{"idle without a limit of its own", -1, true, false, keepAlive, keepAlive + 500*time.Millisecond},
		{"nothing sent yet", 0, false, false, keepAlive, keepAlive + 500*time.Millisecond},
		{"half a request", 0, true, true, keepAlive + time.Second, keepAlive + 1500*time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			within(t, tt.min, tt.max, func() time.Duration {
				f := start(t, &http.Server{Handler: http.HandlerFunc(ok), IdleTimeout: tt.idle}, keepAlive, hold(t))
				c := dial(t, f.addr)
				if tt.used {
					c.mustGet(t, "/")
				}
				if tt.partial {
					io.WriteString(c, "GET / HTTP/1.1\r\nHo")
				}
				until(t, "it is accepted", func() bool { return f.view.Counters().Accepted == 1 })
				f.view.SetDrainUntil(in(forever))
				begin := time.Now()
				f.drain()
				io.Copy(io.Discard, c) // net/http answers half a request with 400
				f.awaitServed(t)
				return time.Since(begin)
			})
		})
	}
}

// TestStream has one stream that ends when asked, and one that does not listen.
func TestStream(t *testing.T) {
	var f *fixture
	ready := make(chan struct{})
	goOn := make(chan struct{})
	f = start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-ready
		io.WriteString(w, "begun ")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/polite" {
			<-f.draining
		} else {
			<-goOn
		}
		io.WriteString(w, "ended")
	})}, 100*time.Millisecond, hold(t))
	close(ready)
	polite, deaf := dial(t, f.addr), dial(t, f.addr)
	for c, path := range map[*client]string{polite: "/polite", deaf: "/deaf"} {
		if err := c.send(path); err != nil {
			t.Fatal(err)
		}
		if _, err := c.r.Peek(1); err != nil {
			t.Fatal(err)
		}
	}
	f.view.SetDrainUntil(in(forever))
	f.drain()
	whole := func(c *client) {
		res, err := c.receive()
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(res.Body); string(body) != "begun ended" {
			t.Errorf("stream %q", body)
		}
	}
	whole(polite)
	close(goOn)
	whole(deaf)
	f.awaitServed(t)
}

// TestHijackedAreWaitedFor keeps a hijacked connection open after its handler.
func TestHijackedAreWaitedFor(t *testing.T) {
	hijacked := make(chan net.Conn, 1)
	f := start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		hijacked <- conn
	})}, time.Second, hold(t))
	c := dial(t, f.addr)
	if err := c.send("/"); err != nil {
		t.Fatal(err)
	}
	conn := await(t, hijacked)
	f.view.SetDrainUntil(in(forever))
	f.drain()
	await(t, f.draining)
	if _, err := io.WriteString(conn, "still here\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := c.r.ReadString('\n'); line != "still here\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	select {
	case err := <-f.served:
		t.Fatalf("Serve returns %v with a hijacked connection open", err)
	default:
	}
	conn.Close()
	f.awaitServed(t)
}

// TestHTTP2Drain expects a request in flight to end well, and a GOAWAY to make the
// client take its next one elsewhere.
func TestHTTP2Drain(t *testing.T) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	running, goOn := make(chan struct{}), make(chan struct{})
	f := start(t, &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(running)
			<-goOn
		}
		ok(w, r)
	})}, forever, hold(t))
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	get := func(path string) error {
		res, err := (&http.Client{Transport: transport, Timeout: forever}).Get("http://" + f.addr + path)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, err = io.ReadAll(res.Body)
		return err
	}
	slow := make(chan error, 1)
	go func() { slow <- get("/slow") }()
	await(t, running)
	f.view.SetDrainUntil(in(forever))
	f.drain()
	if err := get("/quick"); err != nil {
		t.Errorf("a request on the open connection: %v", err)
	}
	close(goOn)
	if err := await(t, slow); err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	f.awaitServed(t)
}

// TestTurns has clients that never rest: a drain ends their connections one by one, so
// that they do not all come back at the same moment.
func TestTurns(t *testing.T) {
	const clients = 200
	f := start(t, &http.Server{Handler: http.HandlerFunc(ok)}, forever, hold(t))
	var open []*client
	for range clients {
		c := dial(t, f.addr)
		c.mustGet(t, "/")
		open = append(open, c)
	}
	f.view.SetDrainUntil(in(forever))
	begun := time.Now()
	ended := make(chan time.Duration, clients)
	var asking sync.WaitGroup
	for _, c := range open {
		asking.Go(func() {
			for {
				res, err := c.get("/")
				if err != nil {
					t.Error(err)
					return
				}
				if res.Close {
					ended <- time.Since(begun)
					return
				}
			}
		})
	}
	f.drain()
	asking.Wait()
	f.awaitServed(t)
	close(ended)
	var moments []time.Duration
	for at := range ended {
		moments = append(moments, at)
	}
	slices.Sort(moments)
	for i, at := range moments {
		if turn := time.Duration(i) * protocol.TurnStep; at < turn {
			t.Fatalf("%d connections ended within %v", i+1, at)
		}
	}
	t.Logf("the last of %d ended after %v", clients, moments[len(moments)-1])
}

// TestFail has a worker say that it can serve nobody any more: it drains, and accepts
// nothing.
func TestFail(t *testing.T) {
	t.Parallel()
	held := hold(t)
	c := spawn(t, "serve", []*net.TCPListener{held})
	c.expect(t, "READY=1")
	conn := dial(t, held.Addr().String())
	if res := conn.mustGet(t, "/fail"); !res.Close {
		t.Error("no Connection: close")
	} else if text, err := io.ReadAll(res.Body); err != nil || string(text) != "<nil>" {
		t.Errorf("%q, %v", text, err)
	}
	late := dial(t, held.Addr().String())
	defer late.Close()
	c.expect(t, "X_GOSUPER_FAILED=1")
	c.expect(t, "STOPPING=1")
	conn.Close()
	c.awaitExit(t)
	next, err := held.Accept() // which nobody has
	if err != nil {
		t.Fatal(err)
	}
	next.Close()
}
