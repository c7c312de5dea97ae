//go:build linux

package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// allowed is the timeout of the tests below, long enough for a busy machine to make
// progress within.
const allowed = 500 * time.Millisecond

// A stuck handler goes on until it is let go, whatever its context says.
type stuck struct {
	goOn chan struct{}
	done chan error // what the handler got from its last write
}

func newStuck(t *testing.T) *stuck {
	s := &stuck{goOn: make(chan struct{}), done: make(chan error, 10)}
	t.Cleanup(func() {
		select {
		case <-s.goOn:
		default:
			close(s.goOn)
		}
	})
	return s
}

// requireTook checks the time from begin to now: never before the limit, and, on a
// machine that does other things too, not much later.
func requireTook(t *testing.T, begin time.Time, allowed time.Duration) {
	t.Helper()
	if d := time.Since(begin); d < allowed || d > allowed+5*time.Second {
		t.Errorf("ended after %v, want %v", d, allowed)
	}
}

func TestAnswerAtDeadline(t *testing.T) {
	get := "GET /sleep?secret=1 HTTP/1.1\r\nHost: test\r\nX-Request-Id: abc\r\n\r\n"
	upload := "POST /sleep HTTP/1.1\r\nHost: test\r\nX-Request-Id: abc\r\nContent-Length: 1000000\r\n"
	tests := []struct {
		name    string
		request string
		handle  func(w http.ResponseWriter, r *http.Request)
	}{
		{"nothing written", get, func(w http.ResponseWriter, r *http.Request) {}},
		{"header in net/http's buffer", get, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201) }},
		{"body in net/http's buffer", get, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "half") }},
		{"early hints sent", get, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(103) }},
		{"copying from a silent source", get, func(w http.ResponseWriter, r *http.Request) {
			source, _ := io.Pipe()
			context.AfterFunc(r.Context(), func() { source.CloseWithError(io.ErrUnexpectedEOF) })
			io.Copy(w, source)
		}},
		{"body half read", upload + "\r\n0123456789", func(w http.ResponseWriter, r *http.Request) { r.Body.Read(make([]byte, 10)) }},
		{"body unread", upload + "\r\n" + strings.Repeat("0123456789", 10_000), func(w http.ResponseWriter, r *http.Request) {}},
		{"waiting for the body", upload + "\r\n", func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body) }},
		{"continue sent", upload + "Expect: 100-continue\r\n\r\n", func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body) }},
		{"old client", "GET /sleep HTTP/1.0\r\nX-Request-Id: abc\r\n\r\n", func(w http.ResponseWriter, r *http.Request) {}},
		{"head", "HEAD /sleep HTTP/1.1\r\nX-Request-Id: abc\r\nHost: test\r\n\r\n", func(w http.ResponseWriter, r *http.Request) {}},
	}
	for _, secure := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s/tls=%v", tt.name, secure), func(t *testing.T) {
				t.Parallel()
				s := newStuck(t)
				f := startMaybeTLS(t, secure, func(w http.ResponseWriter, r *http.Request) {
					tt.handle(w, r)
					<-r.Context().Done()
					if cause := context.Cause(r.Context()); cause != http.ErrHandlerTimeout {
						t.Errorf("the cause is %v", cause)
					}
					<-s.goOn
					w.Header().Set("X", "y")
					w.WriteHeader(200)
					_, err := w.Write(make([]byte, 100_000))
					s.done <- err
				}, timeouts{Timeout: allowed})
				c := f.dial(t)
				method, _, _ := strings.Cut(tt.request, " ")
				begin := time.Now()
				io.WriteString(c, tt.request)
				res, err := http.ReadResponse(c.r, &http.Request{Method: method})
				for err == nil && res.StatusCode < 200 {
					res, err = http.ReadResponse(c.r, &http.Request{Method: method})
				}
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				requireTook(t, begin, allowed)
				if err != nil || res.StatusCode != http.StatusGatewayTimeout || !res.Close || res.Header.Get("Retry-After") == "" {
					t.Errorf("answer %+v %q, %v", res, body, err)
				}
				if (len(body) == 0) != (method == "HEAD") {
					t.Errorf("body %q", body)
				}
				c.awaitEOF(t)
				c.Close()

				// The master sees the handler that does not return.
				requests := f.view.Requests()
				if len(requests) != 1 || requests[0].Flags != scoreboard.InUse|scoreboard.Ended ||
					requests[0].Path != "/sleep" || requests[0].Method != method || requests[0].ID != "abc" {
					t.Errorf("the board has %+v", requests)
				}
				close(s.goOn)
				if err := await(t, s.done); !errors.Is(err, http.ErrHandlerTimeout) {
					t.Errorf("a late write gives %v", err)
				}
				until(t, "the request is over", func() bool { return f.board.InFlight() == 0 && len(f.view.Requests()) == 0 })
				until(t, "the connection is closed", func() bool { return f.view.Counters().Open == 0 })
				if counters := f.view.Counters(); counters.Timeouts != 1 || counters.Status[4] != 1 {
					t.Errorf("%+v", counters)
				}
			})
		}
	}
}

// TestCutAtDeadline looks for responses that seem whole to the client.
func TestCutAtDeadline(t *testing.T) {
	get := "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
	old := "GET / HTTP/1.0\r\n\r\n"
	flush := func(w http.ResponseWriter) { http.NewResponseController(w).Flush() }
	tests := []struct {
		name    string
		request string
		handle  func(w http.ResponseWriter)
	}{
		{"header", get, func(w http.ResponseWriter) { flush(w) }},
		{"chunked", get, func(w http.ResponseWriter) { io.WriteString(w, "half"); flush(w) }},
		{"length", get, func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "half")
			flush(w)
		}},
		{"more than fits into the buffer", get, func(w http.ResponseWriter) { w.Write(make([]byte, 10_000)) }},
		{"part of the header", get, func(w http.ResponseWriter) {
			w.Header().Set("X", strings.Repeat("x", 10_000))
			io.WriteString(w, strings.Repeat("y", 3000))
		}},
		{"old client", old, func(w http.ResponseWriter) { io.WriteString(w, "half"); flush(w) }},
		{"to the end of the connection", get, func(w http.ResponseWriter) {
			w.Header().Set("Transfer-Encoding", "identity")
			io.WriteString(w, "half")
			flush(w)
		}},
		{"a file", get, func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000000")
			file, err := os.Open("/proc/self/exe")
			if err != nil {
				panic(err)
			}
			defer file.Close()
			io.CopyN(w, file, 200_000)
		}},
	}
	for _, secure := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s/tls=%v", tt.name, secure), func(t *testing.T) {
				t.Parallel()
				s := newStuck(t)
				f := startMaybeTLS(t, secure, func(w http.ResponseWriter, r *http.Request) {
					tt.handle(w)
					<-s.goOn
					_, err := io.WriteString(w, "other half")
					s.done <- err
				}, timeouts{Timeout: time.Hour, Stream: allowed})
				c := f.dial(t)
				begin := time.Now()
				io.WriteString(c, tt.request)
				res, err := http.ReadResponse(c.r, nil)
				if err == nil {
					_, err = io.ReadAll(res.Body)
				}
				requireTook(t, begin, allowed)
				if err == nil {
					t.Errorf("the client sees a complete response: %+v", res)
				}
				if requests := f.view.Requests(); len(requests) != 1 || requests[0].Flags != scoreboard.InUse|scoreboard.Streaming|scoreboard.Ended {
					t.Errorf("the board has %+v", requests)
				}
				close(s.goOn)
				if err := await(t, s.done); !errors.Is(err, http.ErrHandlerTimeout) {
					t.Errorf("a late write gives %v", err)
				}
				until(t, "the request is over", func() bool { return f.board.InFlight() == 0 && len(f.view.Requests()) == 0 })
			})
		}
	}
}

// TestSlowReader has handlers blocked in writes: one to a client that does not read,
// which is ended, and one to a client that reads slowly, which is not.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const allowed = 2 * allowed // on a busy machine segments are dropped, and sent again after 0.2 s, then 0.4
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			t.Parallel()
			done := make(chan error, 1)
			f := startMaybeTLS(t, secure, func(w http.ResponseWriter, r *http.Request) {
				_, err := w.Write(make([]byte, 24<<20))
				done <- err
			}, timeouts{Timeout: time.Hour, Stream: allowed})
			silent := f.dial(t)
			begin := time.Now()
			silent.send("/")
			if err := await(t, done); err == nil {
				t.Error("the write to a client that does not read succeeds")
			}
			requireTook(t, begin, allowed)
			until(t, "the connection is closed", func() bool { return f.view.Counters().Open == 0 })

			slow := f.dial(t)
			slow.send("/")
			buf := make([]byte, 256<<10) // the kernel lets a writer go on when a third of megabytes has been read
			for begin := time.Now(); time.Since(begin) < 2*allowed; rest(allowed / 20) {
				if _, err := io.ReadFull(slow.r, buf); err != nil {
					t.Fatalf("after %v: %v", time.Since(begin), err)
				}
			}
			go io.Copy(io.Discard, slow.r)
			if err := await(t, done); err != nil {
				t.Errorf("the write to a slow client: %v", err)
			}
		})
	}
}

// TestTail blocks in what net/http sends after the handler has returned.
func TestTail(t *testing.T) {
	t.Parallel()
	f := startLimited(t, func(w http.ResponseWriter, r *http.Request) {
		for range 20 { // of the connection's buffers
			w.Write(make([]byte, 1000))
		}
	}, timeouts{Timeout: allowed, Stream: allowed})
	c := f.dial(t)
	c.Conn.(interface{ SetReadBuffer(int) error }).SetReadBuffer(1)
	requests := strings.Repeat("GET / HTTP/1.1\r\nHost: test\r\n\r\n", 5000)
	go io.WriteString(c, requests)
	until(t, "the connection is closed", func() bool { return f.view.Counters().Timeouts == 1 && f.view.Counters().Open == 0 })
	if _, err := c.Conn.Write([]byte(requests)); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Log(err)
	}
}

// TestUploaderReadsAnswer goes on sending after the deadline, as clients do that
// send all of a request before they read.
func TestUploaderReadsAnswer(t *testing.T) {
	t.Parallel()
	s := newStuck(t)
	f := startLimited(t, func(w http.ResponseWriter, r *http.Request) { <-s.goOn }, timeouts{Timeout: allowed})
	c := f.dial(t)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n")
	until(t, "it is answered", func() bool { return f.view.Counters().Timeouts == 1 })
	for range 5 {
		rest(25 * time.Millisecond)
		if _, err := c.Write(make([]byte, 1000)); err != nil {
			t.Fatalf("sending on: %v", err)
		}
	}
	if res, err := c.receive(); err != nil || res.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("%+v, %v", res, err)
	}
}
