//go:build linux

package exchange

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/gosuper/gosuper/worker/internal/direct"
	"github.com/gosuper/gosuper/worker/internal/intake"
	"github.com/gosuper/gosuper/worker/internal/limit"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// usual are the limits that are on by default.
var usual = scoreboard.Limits{Timeout: 2 * time.Minute, Stream: 2 * time.Minute}

// newServer returns a server of which nobody else knows.
func newServer(limits scoreboard.Limits) *Server {
	never := func() bool { return false }
	return New(Terms{Board: scoreboard.Unshared(), Limits: &limits, Gate: new(intake.Gate), Draining: never, Over: never, Begun: func(uint64) {}})
}

func ok(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }

// TestBeginningAtReturn is a response that net/http sends when its handler has
// returned: the clock is read once for both.
func TestBeginningAtReturn(t *testing.T) {
	tests := []struct {
		name   string
		length int64
		handle http.HandlerFunc
		phase  limit.Phase
	}{
		{"empty", 0, func(w http.ResponseWriter, r *http.Request) {}, limit.Streaming},
		{"short", 0, ok, limit.Streaming},
		{"with a body to be read first", 1, ok, limit.Committed},
		{"with a body of any length", -1, ok, limit.Committed},
		{"panic", 0, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, limit.Waiting},
		{"panic after the header", 0, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200); panic(http.ErrAbortHandler) }, limit.Committed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(usual)
			conn := s.Add(new(net.TCPConn))
			c := connectionOf(conn)
			c.exchange.raw = nowhere{}
			e := &c.exchange
			var returned int64
			h := &handler{server: s, next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { returned = scoreboard.Monotonic() }()
				tt.handle(w, r)
			})}
			r := (&http.Request{ProtoMajor: 1, ProtoMinor: 1, Method: "GET", ContentLength: tt.length}).WithContext(withConnection(t.Context(), c, conn))
			func() {
				defer func() { _ = recover() }()
				h.ServeHTTP(response1{}, r)
			}()
			if e.Phase() != tt.phase {
				t.Errorf("phase %d, want %d", e.Phase(), tt.phase)
			}
			if began := e.First(); began != 0 != (tt.phase == limit.Streaming) || began != 0 && (began < returned || e.Progress() != began) {
				t.Errorf("began at %d, returned at %d, progress at %d", began, returned, e.Progress())
			}
			before := e.Progress()
			e.write(make([]byte, pieceSize+1))
			if e.Progress() <= before {
				t.Error("the first of two pieces is no progress")
			}
			c.setState(http.StateClosed)
		})
	}
}

// TestWriteGate lets nothing through to the connection of a request that was ended.
func TestWriteGate(t *testing.T) {
	s := newServer(scoreboard.Limits{})
	c := connectionOf(s.Add(new(net.TCPConn)))
	raw := &countingStream{}
	c.exchange.raw = raw
	c.exchange.begin(&http.Request{Method: "GET"}, "", &http1Writer{writer: writer{server: s, watch: &c.exchange.Watch}})
	c.exchange.Expire()
	raw.written = 0
	if n, err := c.exchange.write([]byte("HTTP/1.1 200 OK")); n != 0 || err != http.ErrHandlerTimeout || raw.written != 0 {
		t.Errorf("write gives %d, %v with %d bytes written", n, err, raw.written)
	}
	if n, err := c.exchange.readFrom(nil, strings.NewReader("x")); n != 0 || err != http.ErrHandlerTimeout {
		t.Errorf("readFrom gives %d, %v", n, err)
	}
}

// countingStream takes everything.
type countingStream struct {
	direct.Stream
	written int
}

func (s *countingStream) Write(data []byte) (int, error) {
	s.written += len(data)
	return len(data), nil
}
func (s *countingStream) Read([]byte) (int, error)         { return 0, io.EOF }
func (s *countingStream) SetWriteDeadline(time.Time) error { return nil }
func (s *countingStream) CloseWrite() error                { return nil }
func (s *countingStream) Close() error                     { return nil }

// TestBuffersAreProgress has net.Buffers write on a hijacked connection of a unix socket,
// of which the kernel does not tell what was sent.
func TestBuffersAreProgress(t *testing.T) {
	accepted, _ := unixPair(t)
	conn := newServer(scoreboard.Limits{}).Add(accepted)
	c := connectionOf(conn)
	withConnection(t.Context(), c, conn)
	c.exchange.begin(&http.Request{}, "", nil)
	c.exchange.hijack()
	c.exchange.TouchAt(0)
	if n, err := (&net.Buffers{[]byte("to"), []byte("ken")}).WriteTo(conn); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if c.exchange.Progress() == 0 {
		t.Error("what was written is no progress")
	}
}

// unixPair is a connected pair of unix sockets of package net.
func unixPair(t testing.TB) (*net.UnixConn, *net.UnixConn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		peer.Close()
	})
	return conn.(*net.UnixConn), peer.(*net.UnixConn)
}

// BenchmarkAccounting is what the package adds to one request of a kept-alive
// connection, but for the two calls of ConnState, which BenchmarkConnState has.
func BenchmarkAccounting(b *testing.B) {
	s := newServer(usual)
	conn := s.Add(new(net.TCPConn))
	c := connectionOf(conn)
	h := &handler{server: s, next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) })}
	c.exchange.raw = nowhere{}
	response := make([]byte, 100)
	// As deep as net/http's own.
	ctx, cancel := context.WithCancel(withConnection(context.WithValue(b.Context(), http.ServerContextKey, s), c, conn))
	defer cancel()
	r := (&http.Request{ProtoMajor: 1, ProtoMinor: 1, Method: "GET", RequestURI: "/agent/stream?prompt=x"}).WithContext(context.WithValue(ctx, http.LocalAddrContextKey, s))
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(response1{}, r)
		c.exchange.write(response)
		c.exchange.Over()
	}
}

// BenchmarkAccounting2 is the same for one request over HTTP/2.
func BenchmarkAccounting2(b *testing.B) {
	s := newServer(usual)
	conn := s.Add(new(net.TCPConn))
	h := &handler{server: s, next: http.HandlerFunc(ok)}
	ctx, cancel := context.WithCancel(withConnection(context.WithValue(b.Context(), http.ServerContextKey, s), connectionOf(conn), conn))
	defer cancel()
	r := (&http.Request{ProtoMajor: 2, Method: "GET", RequestURI: "/agent/stream?prompt=x"}).WithContext(ctx)
	var w http.ResponseWriter = response2{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

// response1 is the writer of net/http for a request over HTTP/1 of which nothing is kept.
type response1 struct{ http.Hijacker }

func (response1) Header() http.Header                   { return make(http.Header) }
func (response1) WriteHeader(int)                       {}
func (response1) Write(data []byte) (int, error)        { return len(data), nil }
func (response1) FlushError() error                     { return nil }
func (response1) ReadFrom(src io.Reader) (int64, error) { return io.Copy(io.Discard, src) }

type response2 struct{ header http.Header }

func (r response2) Header() http.Header                { return r.header }
func (response2) WriteHeader(int)                      {}
func (response2) Write(data []byte) (int, error)       { return len(data), nil }
func (response2) WriteString(data string) (int, error) { return len(data), nil }

// nowhere is a connection that takes everything.
type nowhere struct{ direct.Stream }

func (nowhere) Write(data []byte) (int, error) { return len(data), nil }

func BenchmarkConnState(b *testing.B) {
	s := newServer(usual)
	conn := s.Add(new(net.TCPConn))
	srv := new(http.Server)
	s.Instrument(srv, time.Minute)
	for b.Loop() {
		srv.ConnState(conn, http.StateActive)
		srv.ConnState(conn, http.StateIdle)
	}
}

// TestSetDeadline sets one for both directions.
func TestSetDeadline(t *testing.T) {
	accepted, _ := unixPair(t)
	conn := newServer(usual).Add(accepted)
	withConnection(t.Context(), connectionOf(conn), conn)
	if err := conn.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read gives %v", err)
	}
	if _, err := conn.Write(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write gives %v", err)
	}
}

// An adder is a listener whose connections are a server's.
type adder struct {
	net.Listener
	server *Server
}

func (a adder) Accept() (net.Conn, error) {
	conn, err := a.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return a.server.Add(conn), nil
}

// TestAlarmsGoWithTheirConnections has nothing hold on to a closed connection, as an alarm
// that is set for an hour would.
func TestAlarmsGoWithTheirConnections(t *testing.T) {
	s := newServer(scoreboard.Limits{Timeout: time.Hour, Upgrade: time.Hour})
	served := make(chan weak.Pointer[connection], 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connectionFrom(r.Context())
		if r.URL.Path == "/hijack" {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				conn.Close()
			}
		}
		served <- weak.Make(c)
	})}
	s.Instrument(srv, time.Minute)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(adder{l, s})
	defer srv.Close()
	for _, path := range []string{"/", "/hijack"} {
		peer, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(peer, "GET "+path+" HTTP/1.1\r\nHost: test\r\n\r\n")
		peer.Read(make([]byte, 1))
		peer.Close()
		c := <-served
		for end := time.Now().Add(time.Minute); c.Value() != nil; time.Sleep(time.Millisecond) { // between two looks
			if runtime.GC(); time.Now().After(end) {
				t.Fatalf("%s: something holds the connection", path)
			}
		}
	}
}

// What the application answers counts, unless it is about its health.
func TestJudge(t *testing.T) {
	said := 0
	board := scoreboard.Unshared()
	s := New(Terms{Board: board, Failures: 2, Failing: func() { said++ }})
	for i, one := range []struct {
		status int
		path   string
		said   int // so often by then
	}{
		{500, "/", 0},
		{200, "/healthz", 0},
		{500, "/ready", 0},
		{503, "/agent", 1},
		{500, "/agent", 1},
		{404, "/agent", 1},
		{500, "/agent", 1},
		{500, "", 2},
	} {
		if s.judge(1, 2, one.status, one.path); said != one.said {
			t.Errorf("%d: after %d %s it was said %d times, want %d", i, one.status, one.path, said, one.said)
		}
	}
}

// Those with a request have the first turns, and the last one is within the span.
func TestTakeTurns(t *testing.T) {
	for _, span := range []time.Duration{time.Hour, 50 * protocol.TurnStep, 0} {
		s := newServer(usual)
		for i := range 100 {
			if c := connectionOf(s.Add(new(net.TCPConn))); i < 30 {
				c.state.Store(int32(http.StateActive))
			}
		}
		before := scoreboard.Monotonic()
		s.TakeTurns(span)
		after := scoreboard.Monotonic()
		var turns, active []int64
		for c := range s.open {
			turns = append(turns, c.turn.Load())
			if c.state.Load() == int32(http.StateActive) {
				active = append(active, c.turn.Load())
			}
		}
		slices.Sort(turns)
		slices.Sort(active)
		step := min(int64(protocol.TurnStep), int64(span)/100)
		for i, turn := range turns {
			if begun := turn - int64(i)*step; begun < before || begun > after || i < 30 && turn != active[i] {
				t.Fatalf("span %v: turn %d is %v after the beginning", span, i, time.Duration(turn-before))
			}
		}
	}
}
