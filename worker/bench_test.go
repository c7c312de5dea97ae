//go:build linux

package worker

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

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
			f := startMaybeTLS(b, secure, ok, timeouts{Timeout: 2 * time.Minute, Stream: 2 * time.Minute})
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
