//go:build linux

package worker

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/internal/accesslog"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// timeoutText is the body of an answer at a deadline.
const timeoutText = "The request took too long and was ended.\n"

// pipe returns a non-blocking pipe as the access log's, and the master's end.
func pipe(t testing.TB) (fd int, read *os.File) {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	read = os.NewFile(uintptr(ends[0]), "log")
	t.Cleanup(func() {
		unix.Close(ends[1])
		read.Close()
	})
	return ends[1], read
}

// logged is what a test has of the access log.
type logged struct {
	log   *accesslog.Log
	lines chan string
}

func newLogged(t testing.TB) *logged {
	t.Helper()
	fd, read := pipe(t)
	a, err := accesslog.New(fd, false, 7)
	if err != nil {
		t.Fatal(err)
	}
	l := &logged{a, make(chan string, 100)}
	go func() {
		for in := bufio.NewScanner(read); in.Scan(); {
			l.lines <- in.Text()
		}
	}()
	return l
}

// A request that is ended at its deadline is accounted for then, and not a second time
// when its handler returns.
func TestAccountedAtDeadline(t *testing.T) {
	flush := func(w http.ResponseWriter) { http.NewResponseController(w).Flush() }
	tests := []struct {
		name   string
		handle func(w http.ResponseWriter, r *http.Request)
		http2  bool
		line   string // the status, the bytes, and whether there was a first byte
		class  int
	}{
		{"answered", func(w http.ResponseWriter, r *http.Request) {}, false, fmt.Sprint("504 ", len(timeoutText)), 5},
		{"answered over HTTP/2", func(w http.ResponseWriter, r *http.Request) {}, true, "504 0", 5},
		{"buffered", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "half") }, false, fmt.Sprint("504 ", len(timeoutText)), 5},
		{"buffered over HTTP/2", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "half") }, true, "504 0", 5},
		{"cut", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); io.WriteString(w, "half"); flush(w) }, false, "404 4", 4},
		{"cut over HTTP/2", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(404)
			io.WriteString(w, "half")
			flush(w)
		}, true, "404 4", 4},
		{"upgraded", func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			io.WriteString(conn, "hello")
		}, false, "101 0", 1},
		{"headers of the request changed", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				r.Header.Set("User-Agent", "other")
				r.Header.Del("User-Agent")
				r.RemoteAddr, r.RequestURI, r.Method = "192.0.2.1:1", "/other", "PUT"
			}
		}, false, fmt.Sprint("504 ", len(timeoutText)), 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, log := newStuck(t), newLogged(t)
			limits := timeouts{Timeout: allowed, Stream: allowed, Upgrade: allowed}
			returned := make(chan struct{})
			srv := quiet(func(w http.ResponseWriter, r *http.Request) {
				defer close(returned)
				tt.handle(w, r)
				<-s.goOn
			})
			srv.Protocols = new(http.Protocols)
			srv.Protocols.SetHTTP1(true)
			srv.Protocols.SetUnencryptedHTTP2(true)
			f := startAs(t, srv, inheritance{keepAlive: forever, limits: limits, access: log.log}, hold(t))
			transport := &http.Transport{DisableKeepAlives: true, Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(!tt.http2)
			transport.Protocols.SetUnencryptedHTTP2(tt.http2)
			go func() {
				if res, err := (&http.Client{Transport: transport, Timeout: forever}).Get(f.url("/x")); err == nil {
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			}()
			proto := "HTTP/1.1"
			if tt.http2 {
				proto = "HTTP/2.0"
			}
			line := await(t, log.lines)
			if want := fmt.Sprintf(`"GET /x %s" %s "-" "Go-http-client/`, proto, tt.line); !strings.HasPrefix(line, "127.0.0.1 ") || !strings.Contains(line, want) || !strings.HasSuffix(line, " timeout") {
				t.Errorf("%s\nwant %s", line, want)
			}
			check := func() {
				t.Helper()
				c, h := f.view.Counters(), f.view.Histogram()
				var inHistogram uint64
				for _, n := range h.Counts {
					inHistogram += n
				}
				if c.Started != 1 || c.Finished != 1 || c.Timeouts != 1 || c.Status[tt.class-1] != 1 || inHistogram != 1 || h.Sum < allowed || h.Sum > allowed+10*time.Second {
					t.Errorf("%+v, durations %+v", c, h)
				}
			}
			check()
			if requests := f.view.Requests(); len(requests) != 1 || requests[0].Flags&(scoreboard.InUse|scoreboard.Ended) != scoreboard.InUse|scoreboard.Ended {
				t.Errorf("the board has %+v", requests)
			}
			if f.board.InFlight() != 0 || !f.server.AtWork() {
				t.Errorf("%d in flight, handlers at work: %v", f.board.InFlight(), f.server.AtWork())
			}
			close(s.goOn)
			await(t, returned)
			until(t, "the handler is not at work", func() bool { return !f.server.AtWork() && len(f.view.Requests()) == 0 })
			check()
			f.drain()
			f.awaitServed(t)
			select {
			case line := <-log.lines:
				t.Errorf("a second line: %s", line)
			default:
			}
		})
	}
}

// Handlers that return at the deadline, or thereabouts, are accounted for once.
func TestAccountedOnce(t *testing.T) {
	const n = 300
	log := newLogged(t)
	srv := quiet(func(w http.ResponseWriter, r *http.Request) { rest(20 * time.Millisecond) })
	f := startAs(t, srv, inheritance{keepAlive: forever, limits: timeouts{Timeout: 20 * time.Millisecond}, access: log.log}, hold(t))
	go func() {
		for range n {
			if c, err := connect("tcp", f.addr); err == nil {
				c.send("/")
				defer c.Close()
			}
		}
	}()
	ended := 0
	for range n {
		if strings.HasSuffix(await(t, log.lines), " timeout") {
			ended++
		}
	}
	until(t, "no handler is at work", func() bool { return !f.server.AtWork() })
	c := f.view.Counters()
	t.Logf("%d of %d were ended at their deadline", ended, n)
	if c.Started != n || c.Finished != n || c.Timeouts < uint64(ended) || f.server.AtWork() || len(f.view.Requests()) != 0 {
		t.Errorf("%+v, handlers at work: %v", c, f.server.AtWork())
	}
	f.drain()
	f.awaitServed(t)
	if len(log.lines) > 0 {
		t.Errorf("another line: %s", <-log.lines)
	}
}

// A drain waits for a handler behind an answered request.
func TestDrainWaitsForLateHandler(t *testing.T) {
	s := newStuck(t)
	f := startLimited(t, func(w http.ResponseWriter, r *http.Request) { <-s.goOn; s.done <- nil }, timeouts{Timeout: allowed})
	c := dial(t, f.addr)
	if res, err := c.get("/"); err != nil || res.StatusCode != http.StatusGatewayTimeout {
		t.Fatalf("%+v, %v", res, err)
	}
	c.Close()
	until(t, "it is accounted for, and its connection closed", func() bool {
		counters := f.view.Counters()
		return counters.Finished == 1 && counters.Open == 0
	})
	f.drain()
	select {
	case err := <-f.served:
		t.Fatalf("Serve returns %v beside a handler at work", err)
	case <-time.After(4 * drainTick): // what is tested
	}
	close(s.goOn)
	await(t, s.done)
	f.awaitServed(t)
}

// A drain at whose end a handler is stuck waits for the master to ask where it is.
func TestDrainWaitsForAbort(t *testing.T) {
	for name, follows := range map[string]bool{"abort follows": true, "killed at once": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStuck(t)
			f := startLimited(t, func(w http.ResponseWriter, r *http.Request) { <-s.goOn }, timeouts{Timeout: allowed})
			c := dial(t, f.addr)
			if res, err := c.get("/"); err != nil || res.StatusCode != http.StatusGatewayTimeout {
				t.Fatalf("%+v, %v", res, err)
			}
			until(t, "it is accounted for", func() bool { return f.view.Counters().Finished == 1 })
			begin := time.Now()
			f.view.SetDrainUntil(in(protocol.DrainMargin))
			f.view.SetAbortFollows(follows)
			f.drain()
			if follows {
				select {
				case err := <-f.served:
					t.Fatalf("Serve returns %v before the master asks", err)
				case <-time.After(protocol.DrainMargin + protocol.AbortGrace/2): // what is tested
				}
				f.view.SetAbortFollows(false)
			}
			f.awaitServed(t)
			if d := time.Since(begin); d >= protocol.DrainMargin+protocol.AbortGrace {
				t.Errorf("Serve returns after %v, as if it would be asked for its stacks", d)
			}
		})
	}
}
