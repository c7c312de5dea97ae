//go:build linux

package worker

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// BenchmarkAccounting is what the package adds to one request of a kept-alive
// connection, but for the two calls of ConnState, which BenchmarkConnState has.
func BenchmarkAccounting(b *testing.B) {
	p := newProcess(inheritance{timeouts: timeouts{timeout: time.Minute, stream: time.Minute}}, nil)
	conn := p.conns.add(new(net.TCPConn))
	c := connectionOf(conn)
	h := &handler{process: p, next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) })}
	c.exchange.raw = nowhere{}
	response := make([]byte, 100)
	// As deep as net/http's own.
	ctx, cancel := context.WithCancel(withConnection(context.WithValue(b.Context(), http.ServerContextKey, p), c, conn))
	defer cancel()
	r := (&http.Request{ProtoMajor: 1, ProtoMinor: 1, Method: "GET", RequestURI: "/agent/stream?prompt=x"}).WithContext(context.WithValue(ctx, http.LocalAddrContextKey, p))
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(spent{}, r)
		c.exchange.write(response)
		c.exchange.over()
	}
}

// nowhere is a connection that takes everything.
type nowhere struct{ stream }

func (nowhere) Write(data []byte) (int, error) { return len(data), nil }

func BenchmarkConnState(b *testing.B) {
	p := newProcess(inheritance{}, nil)
	conn := p.conns.add(new(net.TCPConn))
	srv := new(http.Server)
	p.instrument(srv)
	for b.Loop() {
		srv.ConnState(conn, http.StateActive)
		srv.ConnState(conn, http.StateIdle)
	}
}

// BenchmarkRequest compares a server with and without the accounting, over one kept-alive
// connection.
func BenchmarkRequest(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		held := hold(b)
		srv := &http.Server{Handler: http.HandlerFunc(ok)}
		go srv.Serve(share(b, held))
		defer srv.Close()
		benchmark(b, held.Addr().String())
	})
	b.Run("worker", func(b *testing.B) {
		held := hold(b)
		start(b, &http.Server{Handler: http.HandlerFunc(ok)}, time.Minute, held)
		benchmark(b, held.Addr().String())
	})
}

func benchmark(b *testing.B, addr string) {
	c := dial(b, addr)
	request := []byte("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	c.mustGet(b, "/")
	c.Write(request)
	n, err := c.Conn.Read(make([]byte, 4096))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, n)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(request)
		if _, err := io.ReadFull(c.Conn, buf); err != nil {
			b.Fatal(err)
		}
	}
}
