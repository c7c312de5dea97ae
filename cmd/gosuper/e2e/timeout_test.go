//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// limit is the timeout in these tests.
const limit = time.Second

// stuckRequests are requests that do not end by themselves.
var stuckRequests = []struct {
	path    string
	samples int
	late    time.Duration // how much later than it is due an answer may come
}{
	{"/nap?d=20s", 20, late},
	// One processor is left, and where many want it the worker has had its share.
	{"/spin?d=10m", 1, testTimeout},
}

// A request that does not end is answered when its time is over, by a worker that
// lets its other requests finish and is replaced meanwhile.
func TestTimeoutHitsNobodyElse(t *testing.T) {
	for _, tc := range stuckRequests {
		t.Run(tc.path, func(t *testing.T) {
			t.Parallel()
			m := up(t, "workers = 1", `timeout = "1s"`, `graceful_timeout = "60s"`)
			stuck := m.workers()[0]
			begin, length := time.Now(), 100*60*time.Millisecond
			tokens, pids := streams(t, m.addr(), "/tokens?n=100&d=60ms", 3)
			others := m.load(load.Plan{Connections: 1, Pause: 10 * time.Millisecond})
			samples := take(t, tc.samples, send(m.addr(), tc.path, tc.samples))

			e := m.wait(t, 0, "worker is stuck: a request does not end", match{"pid": stuck})
			if path, _, _ := strings.Cut(tc.path, "?"); e.str("path") != path || e.str("method") != "GET" {
				t.Errorf("the request is named %q %q, want GET %s", e.str("method"), e.str("path"), path)
			}
			m.wait(t, 0, "worker started", match{"slot": 0, "reason": "timeout"})
			drain := m.wait(t, 0, "worker draining", match{"pid": stuck, "reason": "timeout"})
			if left, err := time.ParseDuration(drain.str("for")); err != nil || left > time.Minute || left < 30*time.Second {
				t.Errorf("the others do not get graceful_timeout: %s", drain.line)
			}
			for i, r := range take(t, 3, tokens) {
				if !r.whole() || r.tokens != 100 || pids[i] != stuck {
					t.Errorf("a stream of worker process %d: %v", pids[i], r)
				}
			}
			ended := m.wait(t, 0, "ending stuck worker", match{"pid": stuck, "requests_lost": 0})
			if lived := ended.at.Sub(begin); lived < length {
				t.Errorf("the stuck worker was ended after %v, its streams take %v", lived, length)
			}
			m.wait(t, 0, "worker gone", match{"pid": stuck, "reason": "timeout"})
			m.contains(t, "SIGABRT: abort") // and the stacks
			t.Logf("stuck for the master after %v, ended after %v", e.at.Sub(begin), ended.at.Sub(begin))
			others.more(20)
			none(t, "meanwhile", others.end(), 50)
			if others.longest > 5*time.Second {
				t.Errorf("nobody answered for %v", others.longest)
			}
			checkTimeouts(t, samples, tc.late)
			m.stopped(match{"timeouts": tc.samples, "requests_lost": 0})
		})
	}
}

// A request that comes on a kept connection when the stuck worker is about to go, since
// it had nobody innocent, is innocent too.
func TestInnocentComesLate(t *testing.T) {
	t.Parallel()
	m := up(t, "workers = 1", `timeout = "1s"`, `graceful_timeout = "60s"`)
	stuck := m.workers()[0]
	kept := m.fly("/facts")
	if _, err := kept.land(); err != nil {
		t.Fatal(err)
	}
	answer := send(m.addr(), "/nap?d=20s", 1)
	m.wait(t, 0, "worker draining", match{"pid": stuck, "reason": "timeout"})
	fmt.Fprint(kept.conn, "GET /tokens?n=50&d=60ms HTTP/1.1\r\nHost: x\r\n\r\n")
	stream, err := http.ReadResponse(bufio.NewReader(kept.conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(stream.Body); err != nil || strings.Count(string(body), "event: token") != 50 {
		t.Errorf("a stream of %d bytes, %v", len(body), err)
	}
	m.wait(t, 0, "ending stuck worker", match{"pid": stuck, "requests_lost": 0})
	checkTimeouts(t, take(t, 1, answer), late)
	m.stopped(match{"timeouts": 1, "requests_lost": 0})
}

// checkTimeouts wants answers that say 504 when the time is over, not before, and so late
// at most.
func checkTimeouts(t *testing.T, samples []reply, late time.Duration) {
	t.Helper()
	var took []time.Duration
	for _, r := range samples {
		took = append(took, r.took)
		if r.status != 504 || r.err != nil || r.header.Get("Retry-After") == "" || len(r.body) == 0 {
			t.Errorf("%v, Retry-After %q", r, r.header.Get("Retry-After"))
		}
	}
	slices.Sort(took)
	t.Logf("504 after: %v", took)
	if took[0] < limit || median(took) > limit+late {
		t.Errorf("504 after %v..%v, median %v", took[0], took[len(took)-1], median(took))
	}
}

// stopped stops the master and returns its last line, which has to fit.
func (m *master) stopped(want match) event {
	m.t.Helper()
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		m.t.Errorf("exit status %d", code)
	}
	var last event
	for _, e := range m.allEvents() {
		last = e
	}
	m.t.Logf("last line: %s", last.line)
	if last.msg != "stopped" || !want.fits(last) {
		m.t.Errorf("want stopped with %v", want)
	}
	return last
}

// A request that does not end is found however many others its worker has.
func TestTimeoutBesideManyStreams(t *testing.T) {
	t.Parallel()
	m := up(t, "workers = 1", `timeout = "1s"`, `graceful_timeout = "2s"`)
	stuck := m.workers()[0]
	const others = scoreboard.MaxSlots
	tokens, _ := streams(t, m.addr(), "/tokens?n=10000&d=250ms", others)
	answer := send(m.addr(), "/nap?d=60s", 1)
	checkTimeouts(t, take(t, 1, answer), late)
	m.wait(t, 0, "worker is stuck: a request does not end", match{"pid": stuck, "path": "/nap", "other_requests": others})
	m.wait(t, 0, "worker gone", match{"pid": stuck, "reason": "timeout"})
	take(t, others, tokens)
	m.stopped(match{"timeouts": 1, "requests_lost": others})
}

// Requests beside a stuck one that do not end either get graceful_timeout. Then
// their clients see that they are broken, and the master that they were lost.
func TestInnocentsGetGracefulTimeout(t *testing.T) {
	t.Parallel()
	m := up(t, "workers = 1", `timeout = "1s"`, `graceful_timeout = "2s"`)
	stuck := m.workers()[0]
	tokens, _ := streams(t, m.addr(), "/tokens?n=10000&d=60ms", 2)
	answer := send(m.addr(), "/nap?d=20s", 1)
	e := m.wait(t, 0, "worker is stuck: a request does not end", match{"pid": stuck, "other_requests": 2})
	gone := m.wait(t, 0, "worker gone", match{"pid": stuck, "reason": "timeout"})
	grace := gone.at.Sub(e.at)
	t.Logf("the innocents got %v", grace)
	// The worker itself gives up a little earlier.
	if grace < 1500*time.Millisecond || grace > 20*time.Second {
		t.Errorf("the innocents got %v, want 2s", grace)
	}
	for _, r := range take(t, 2, tokens) {
		if r.err == nil || r.tokens == 0 {
			t.Errorf("a stream of a worker whose time was over: %v", r)
		}
	}
	checkTimeouts(t, take(t, 1, answer), late)
	m.stopped(match{"timeouts": 1, "requests_lost": 2})
}
