//go:build linux

package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// testTimeout is an absurd time, for tests on a machine that does something else.
const testTimeout = time.Minute

// serveEach starts a program that serves each connection with a function.
func serveEach(t *testing.T, serve func(c net.Conn, r *bufio.Reader)) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c, bufio.NewReader(c))
			}()
		}
	}()
	return &upstream{network: "tcp", address: l.Addr().String(), timeout: testTimeout}
}

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// ask sends a request and returns the body of the answer.
func ask(t *testing.T, u *upstream, method, body string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://program/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := u.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// read reads one request.
func read(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	return err == nil
}

// TestNothingIsSentTwice has the program end a connection with its second request on it,
// which http.Transport would send again.
func TestNothingIsSentTwice(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		var requests atomic.Int32
		u := serveEach(t, func(c net.Conn, r *bufio.Reader) {
			for read(r) {
				if requests.Add(1) == 2 {
					return
				}
				io.WriteString(c, hello)
			}
		})
		if text, err := ask(t, u, method, ""); err != nil || text != "hello" {
			t.Fatalf("%s: %q, %v", method, text, err)
		}
		if text, err := ask(t, u, method, ""); err == nil {
			t.Errorf("%s: a request that was read has the answer %q", method, text)
		}
		if n := requests.Load(); n != 2 {
			t.Errorf("%s: the program has read %d requests", method, n)
		}
	}
}

// TestClosedMeanwhile has the program close each connection after an answer, without a
// word. The next request has a fresh one.
func TestClosedMeanwhile(t *testing.T) {
	closed := make(chan struct{}, 10)
	u := serveEach(t, func(c net.Conn, r *bufio.Reader) {
		if read(r) {
			io.WriteString(c, hello)
			c.Close()
			closed <- struct{}{}
		}
	})
	for range 5 {
		if text, err := ask(t, u, http.MethodPost, "a body"); err != nil || text != "hello" {
			t.Fatalf("%q, %v", text, err)
		}
		<-closed
	}
}

// TestReplaced has connections that ended when nobody was looking any more. A request that
// the program has not got is sent on a fresh one, and no other.
func TestReplaced(t *testing.T) {
	for _, tt := range []struct {
		name  string
		end   func(t *testing.T, ours *conn, theirs *net.TCPConn)
		again bool
	}{
		{"no byte is taken", func(t *testing.T, ours *conn, _ *net.TCPConn) { ours.CloseWrite() }, true},
		{"closed by the program", func(t *testing.T, ours *conn, theirs *net.TCPConn) {
			theirs.Close()
			for quiet(ours.Conn) {
				time.Sleep(time.Millisecond) // between two looks
			}
		}, true},
		{"reset by the program", func(t *testing.T, ours *conn, theirs *net.TCPConn) {
			go func() {
				theirs.Read(make([]byte, 1))
				theirs.SetLinger(0)
				theirs.Close()
			}()
		}, false},
		{"read and closed", func(t *testing.T, ours *conn, theirs *net.TCPConn) {
			go func() {
				theirs.Read(make([]byte, 4<<10))
				theirs.Close()
			}()
		}, false},
		{"read by a program that does not answer", func(t *testing.T, ours *conn, theirs *net.TCPConn) {
			theirs.CloseWrite()
			for quiet(ours.Conn) {
				time.Sleep(time.Millisecond) // between two looks
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			u := &upstream{network: "tcp", address: l.Addr().String(), timeout: testTimeout}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://program/", strings.NewReader("a body"))
			if err != nil {
				t.Fatal(err)
			}
			ours, err := u.fresh(req)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					read(bufio.NewReader(c))
					io.WriteString(c, hello)
					c.Close()
				}
			}()
			tt.end(t, ours, theirs.(*net.TCPConn))
			var request bytes.Buffer
			if err := req.Write(&request); err != nil {
				t.Fatal(err)
			}
			x := &exchange{upstream: u, req: req, ctx: t.Context(), conn: ours}
			res, err := x.sendWhole(req, request.Bytes(), true)
			if tt.again != (err == nil) {
				t.Errorf("the error is %v", err)
			}
			if err == nil {
				res.Body.Close()
			}
		})
	}
}

// TestStreamed: what cannot be sent again has a fresh connection.
func TestStreamed(t *testing.T) {
	var connections atomic.Int32
	u := serveEach(t, func(c net.Conn, r *bufio.Reader) {
		connections.Add(1)
		for read(r) {
			io.WriteString(c, hello)
		}
	})
	for range 3 {
		for _, c := range u.idle {
			c.since = time.Now().Add(-reuseAfter)
		}
		if text, err := ask(t, u, http.MethodPost, strings.Repeat("a", 100<<10)); err != nil || text != "hello" {
			t.Fatalf("%q, %v", text, err)
		}
	}
	if n := connections.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

// TestKept counts connections: those whose requests were answered are used again.
func TestKept(t *testing.T) {
	var connections atomic.Int32
	u := serveEach(t, func(c net.Conn, r *bufio.Reader) {
		connections.Add(1)
		for read(r) {
			io.WriteString(c, hello)
		}
	})
	age := func(by time.Duration) {
		for _, c := range u.idle {
			c.since = time.Now().Add(-by)
		}
	}
	for _, tt := range []struct {
		age         time.Duration
		connections int32
	}{{0, 1}, {reuseAfter, 1}, {reuseAfter, 1}, {-time.Hour, 2}, {2 * idleTime, 3}} {
		age(tt.age)
		if _, err := ask(t, u, http.MethodPost, "short"); err != nil {
			t.Fatal(err)
		}
		if n := connections.Load(); n != tt.connections {
			t.Errorf("after %v: %d connections, not %d", tt.age, n, tt.connections)
		}
	}
	u.closeIdle()
	if len(u.idle) > 0 {
		t.Errorf("%d connections are left", len(u.idle))
	}
}

// TestEndlessHeader has the program send a header without an end.
func TestEndlessHeader(t *testing.T) {
	u := serveEach(t, func(c net.Conn, r *bufio.Reader) {
		read(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(c, "X-More: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
				return
			}
		}
	})
	if _, err := ask(t, u, http.MethodGet, ""); !errors.Is(err, errHeader) {
		t.Errorf("the error is %v", err)
	}
}
