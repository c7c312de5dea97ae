//go:build linux

package worker

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// limited is a process with the limits that are on by default.
func limited() *process {
	return newProcess(inheritance{keepAlive: time.Minute, limits: timeouts{Timeout: 2 * time.Minute, Stream: 2 * time.Minute}}, nil)
}

// BenchmarkAccounting is what the package adds to one request of a kept-alive
// connection, but for the two calls of ConnState, which BenchmarkConnState has.
func BenchmarkAccounting(b *testing.B) {
	p := limited()
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
		h.ServeHTTP(response1{}, r)
		c.exchange.write(response)
		c.exchange.Over()
	}
}

// BenchmarkAccounting2 is the same for one request over HTTP/2.
func BenchmarkAccounting2(b *testing.B) {
	p := limited()
	conn := p.conns.add(new(net.TCPConn))
	h := &handler{process: p, next: http.HandlerFunc(ok)}
	ctx, cancel := context.WithCancel(withConnection(context.WithValue(b.Context(), http.ServerContextKey, p), connectionOf(conn), conn))
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
type nowhere struct{ stream }

func (nowhere) Write(data []byte) (int, error) { return len(data), nil }

func BenchmarkConnState(b *testing.B) {
	p := limited()
	conn := p.conns.add(new(net.TCPConn))
	srv := new(http.Server)
	p.instrument(srv)
	for b.Loop() {
		srv.ConnState(conn, http.StateActive)
		srv.ConnState(conn, http.StateIdle)
	}
}

// BenchmarkRequest compares a server with and without the accounting, over one
// kept-alive connection.
func BenchmarkRequest(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		held := hold(b)
		srv := &http.Server{Handler: http.HandlerFunc(ok)}
		go srv.Serve(share(b, held))
		defer srv.Close()
		benchmark(b, dial(b, held.Addr().String()))
	})
	for _, secure := range []bool{false, true} {
		b.Run(fmt.Sprintf("worker/tls=%v", secure), func(b *testing.B) {
			f := startMaybeTLS(b, secure, ok, limited().limits)
			benchmark(b, f.dial(b))
		})
	}
	b.Run("bare/tls=true", func(b *testing.B) {
		cert, err := tls.X509KeyPair(pair(), pair())
		if err != nil {
			b.Fatal(err)
		}
		held := hold(b)
		srv := &http.Server{Handler: http.HandlerFunc(ok), TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
		go srv.ServeTLS(share(b, held), "", "")
		defer srv.Close()
		benchmark(b, (&fixture{process: &process{inheritance: inheritance{certificate: &cert}}, addr: held.Addr().String()}).dial(b))
	})
}

func benchmark(b *testing.B, c *client) {
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
