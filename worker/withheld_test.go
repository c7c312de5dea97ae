//go:build linux

package worker

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestWithheldBody has handlers that answer without reading the body, and clients that
// send none of it, or not all: net/http waits for it before it sends the answer. What
// the log and the board say is what the client got.
func TestWithheldBody(t *testing.T) {
	const announced = "Content-Length: 10"
	text := func(n int) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) { io.WriteString(w, strings.Repeat("x", n)) }
	}
	timeout := fmt.Sprint("504 ", len(timeoutText))
	tests := []struct {
		name    string
		header  string
		body    string // sent at once
		answer  func(w http.ResponseWriter)
		proceed func(c *client) error // once the handler has answered; nil to wait for the limit
		status  int                   // that the client gets, 0 for none
		line    string                // the status and the bytes
		first   bool                  // there was a first byte
		ending  string
	}{
		{"nothing written", announced, "", text(0), nil, 504, timeout, true, "timeout"},
		{"small", announced, "", text(100), nil, 504, timeout, true, "timeout"},
		{"status", announced, "12345", func(w http.ResponseWriter) { w.WriteHeader(404) }, nil, 504, timeout, true, "timeout"},
		{"more than net/http holds back of a body", announced, "", text(3000), nil, 504, timeout, true, "timeout"},
		{"more than net/http holds back", announced, "", text(100_000), nil, 504, timeout, true, "timeout"},
		{"chunked", "Transfer-Encoding: chunked", "5\r\n12345\r\n", text(100), nil, 504, timeout, true, "timeout"},
		{"sent after all", announced, "12345", text(100), func(c *client) error {
			_, err := io.WriteString(c, "67890")
			return err
		}, 200, "200 100", true, "ok"},
		{"client gone", announced, "12345", text(100), func(c *client) error {
			if over, ok := c.Conn.(*tls.Conn); ok {
				return over.NetConn().Close() // a farewell could as well mean that it is done with sending
			}
			return c.Close()
		}, 0, "200 100", true, "client_gone"},
	}
	for _, secure := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s/tls=%v", tt.name, secure), func(t *testing.T) {
				t.Parallel()
				log := newLogged(t)
				answered := make(chan struct{})
				srv := quiet(func(w http.ResponseWriter, r *http.Request) {
					defer close(answered)
					tt.answer(w)
				})
				in := inheritance{keepAlive: forever, limits: timeouts{Timeout: allowed}, access: log.log, connections: 5}
				if tt.proceed != nil {
					in.limits.Timeout = forever
				}
				f := startAs(t, srv, maybeTLS(t, in, secure), hold(t))
				c := f.dial(t)
				fmt.Fprintf(c, "POST /x HTTP/1.1\r\nHost: test\r\n%s\r\n\r\n%s", tt.header, tt.body)
				if tt.proceed != nil {
					await(t, answered)
					if requests := f.view.Requests(); f.board.InFlight() != 1 || len(requests) != 1 || len(log.lines) > 0 {
						t.Errorf("%d in flight, %+v, %d lines before anything was sent", f.board.InFlight(), requests, len(log.lines))
					}
					if err := tt.proceed(c); err != nil {
						t.Fatal(err)
					}
				}
				if tt.status != 0 {
					if res, err := c.receive(); err != nil || res.StatusCode != tt.status {
						t.Errorf("the client gets %+v, %v", res, err)
					}
				}
				line := await(t, log.lines)
				if !strings.Contains(line, fmt.Sprintf(`"POST /x HTTP/1.1" %s `, tt.line)) || !strings.HasSuffix(line, " "+tt.ending) || strings.Contains(line, ` - 7 "-"`) == tt.first {
					t.Errorf("%s\nwant %s, %v, %s", line, tt.line, tt.first, tt.ending)
				}
				await(t, answered)
				until(t, "nobody is at work", func() bool {
					return !f.server.AtWork() && len(f.view.Requests()) == 0 && f.gate.Busy() == 0
				})
				counters, timeouts := f.view.Counters(), uint64(0)
				if tt.ending == "timeout" {
					timeouts = 1
				}
				if counters.Started != 1 || counters.Finished != 1 || counters.Timeouts != timeouts || counters.Status[tt.line[0]-'1'] != 1 {
					t.Errorf("%+v", counters)
				}
				c.Close()
				f.drain()
				f.awaitServed(t)
				if len(log.lines) > 0 {
					t.Errorf("a second line: %s", <-log.lines)
				}
			})
		}
	}
}

// TestDrainWaitsForWithheldBody drains under an answer that waits to be sent.
func TestDrainWaitsForWithheldBody(t *testing.T) {
	answered := make(chan struct{})
	f := startLimited(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(answered)
		io.WriteString(w, "ok")
	}, timeouts{Timeout: forever})
	c := dial(t, f.addr)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n")
	await(t, answered)
	f.drain()
	if !f.server.AtWork() {
		t.Error("nothing is left to be waited for")
	}
	fmt.Fprint(c, "x")
	if res, err := c.receive(); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%+v, %v", res, err)
	}
	c.Close()
	f.awaitServed(t)
}
