//go:build linux

package worker

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestProgress lets requests run for several times the limit.
func TestProgress(t *testing.T) {
	const (
		step  = allowed / 6
		steps = 15
	)
	upload := func(c *client) error {
		for range steps {
			if _, err := io.WriteString(c, "x"); err != nil {
				return err
			}
			rest(step)
		}
		return nil
	}
	tests := []struct {
		name   string
		handle func(w http.ResponseWriter, r *http.Request)
		send   func(c *client) error
	}{
		{"stream", func(w http.ResponseWriter, r *http.Request) {
			for range steps {
				io.WriteString(w, "token\n")
				http.NewResponseController(w).Flush()
				rest(step)
			}
		}, func(c *client) error { return c.send("/") }},
		{"upload", func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, func(c *client) error {
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", steps)
			return upload(c)
		}},
		{"copy of a stream", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(600+steps))
			source, sink := io.Pipe()
			go func() {
				sink.Write(make([]byte, 600))
				for range steps {
					sink.Write([]byte("x"))
					rest(step)
				}
				sink.Close()
			}()
			io.Copy(w, source)
		}, func(c *client) error { return c.send("/") }},
		{"hijacked", func(w http.ResponseWriter, r *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\n")
			rw.Flush()
			for range steps {
				if _, err := rw.ReadByte(); err != nil {
					t.Errorf("a hijacked connection on which bytes arrive: %v", err)
				}
			}
			for range steps {
				conn.Write([]byte("y"))
				rest(step)
			}
		}, func(c *client) error {
			c.send("/")
			return upload(c)
		}},
	}
	for _, secure := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s/tls=%v", tt.name, secure), func(t *testing.T) {
				t.Parallel()
				f := startMaybeTLS(t, secure, tt.handle, timeouts{Timeout: allowed, Stream: allowed, Upgrade: allowed})
				c := f.dial(t)
				begin := time.Now()
				if err := tt.send(c); err != nil {
					t.Fatal(err)
				}
				res, err := http.ReadResponse(c.r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if res.StatusCode == http.StatusSwitchingProtocols {
					_, err = io.ReadFull(c.r, make([]byte, steps))
				} else {
					_, err = io.Copy(io.Discard, res.Body)
				}
				if err != nil || res.StatusCode >= 300 || time.Since(begin) < steps*step/2 {
					t.Errorf("after %v: %s, %v", time.Since(begin), res.Status, err)
				}
				if n := f.view.Counters().Timeouts; n != 0 {
					t.Errorf("%d timeouts", n)
				}
			})
		}
	}
}

// TestSilentUpgrade ends hijacked connections that say nothing, whether or not their
// handler is still there.
func TestSilentUpgrade(t *testing.T) {
	for _, returns := range []bool{false, true} {
		t.Run(fmt.Sprintf("returns=%v", returns), func(t *testing.T) {
			t.Parallel()
			s := newStuck(t)
			hijacked := make(chan net.Conn, 1)
			f := startLimited(t, func(w http.ResponseWriter, r *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
				}
				hijacked <- conn
				if !returns {
					<-s.goOn
				}
			}, timeouts{Upgrade: allowed})
			c := f.dial(t)
			c.send("/")
			begin := time.Now()
			conn := await(t, hijacked)
			if returns {
				until(t, "the handler returns", func() bool { return f.board.InFlight() == 0 })
				if n := len(f.view.Requests()); n != 1 {
					t.Errorf("%d requests on the board, want the connection", n)
				}
			}
			_, err := bufio.NewReader(conn).ReadByte()
			requireTook(t, begin, allowed)
			if err == nil {
				t.Error("the connection gives a byte")
			}
			c.awaitEOF(t)
			if !returns {
				if n := len(f.view.Requests()); n != 1 {
					t.Errorf("%d requests on the board, want the handler", n)
				}
				close(s.goOn)
			}
			until(t, "the slot is free", func() bool { return len(f.view.Requests()) == 0 })
		})
	}
}

// TestHijackedCloses checks that a hijacked connection goes off the books when
// it is closed, and that the slot does not outlive it.
func TestHijackedCloses(t *testing.T) {
	f := startLimited(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	}, timeouts{Upgrade: time.Hour})
	for range 10 {
		c := f.dial(t)
		c.send("/")
		c.awaitEOF(t)
	}
	until(t, "all is over", func() bool {
		return f.view.Counters().Open == 0 && f.board.InFlight() == 0 && len(f.view.Requests()) == 0
	})
}

// TestRequestTimeout is the limit that no progress extends.
func TestRequestTimeout(t *testing.T) {
	t.Parallel()
	f := startLimited(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := io.WriteString(w, "token\n"); err != nil {
				return
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
			rest(allowed / 20)
		}
	}, timeouts{Timeout: allowed, Stream: allowed, Request: 3 * allowed})
	c := f.dial(t)
	begin := time.Now()
	c.send("/")
	if res, err := c.receive(); err == nil {
		t.Errorf("a complete response: %+v", res)
	}
	requireTook(t, begin, 3*allowed)
}

// TestLateBeginning begins its response after a time that would be too long for
// what comes then.
func TestLateBeginning(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		f, client := start2(t, h2, func(w http.ResponseWriter, r *http.Request) {
			rest(2 * allowed)
			for range 3 {
				io.WriteString(w, "token\n")
				http.NewResponseController(w).Flush()
				rest(allowed / 6)
			}
		}, timeouts{Timeout: time.Hour, Stream: allowed})
		if !h2 {
			client = http.DefaultClient
		}
		res, err := client.Get(f.url("/"))
		if err == nil {
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if err != nil {
			t.Errorf("HTTP/2 %v: %v", h2, err)
		}
	}
}

// TestManyOnOneConnection keeps a connection busy for several times the limit: each
// request has its own time, although the alarm is set once.
func TestManyOnOneConnection(t *testing.T) {
	t.Parallel()
	s := newStuck(t)
	f := startLimited(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stuck" {
			<-s.goOn
		}
		rest(allowed / 10)
	}, timeouts{Timeout: allowed, Stream: allowed})
	c := f.dial(t)
	for range 40 {
		c.mustGet(t, "/")
	}
	begin := time.Now()
	res, err := c.get("/stuck")
	if err != nil || res.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("%+v, %v", res, err)
	}
	requireTook(t, begin, allowed)
}

// TestBodyAfterReturn sends a body that net/http wants to read before it sends the
// response: that takes longer than a response may rest.
func TestBodyAfterReturn(t *testing.T) {
	t.Parallel()
	f := startLimited(t, ok, timeouts{Timeout: time.Hour, Stream: allowed})
	c := f.dial(t)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n1")
	rest(2 * allowed)
	io.WriteString(c, "2")
	if res, err := c.receive(); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%+v, %v", res, err)
	}
}
