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
