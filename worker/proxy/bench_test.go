//go:build linux

package proxy

import (
	"io"
	"net/http"
	"testing"
)

// BenchmarkHop is a request through a front, client and program included.
func BenchmarkHop(b *testing.B) {
	_, srv := newFront(b, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	client := srv.Client()
	for b.Loop() {
		res, err := client.Get(srv.URL)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

// BenchmarkDownload is a large answer through a front.
func BenchmarkDownload(b *testing.B) {
	const size = 16 << 20
	data := make([]byte, size)
	_, srv := newFront(b, func(w http.ResponseWriter, r *http.Request) { w.Write(data) })
	client := srv.Client()
	b.SetBytes(size)
	for b.Loop() {
		res, err := client.Get(srv.URL)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}
