//go:build linux

package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestHandedOn is what becomes of a request when nobody listens where the program did.
func TestHandedOn(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		size     int
		alive    bool // the program
		draining bool // the front, for another reason
		fails    error
		header   string
		tls      bool
		handed   bool
		told     int // times that the master was
	}{
		{name: "short", size: 5, handed: true, told: 1},
		{name: "long", size: 100 << 10, handed: true, told: 1},
		{name: "over TLS", size: 5, tls: true, handed: true, told: 1},
		{name: "a second time", size: 5, header: againHeader},
		{name: "the program lives", size: 5, alive: true},
		{name: "told to drain", size: 5, draining: true},
		{name: "the master hears nothing", size: 5, fails: errors.New("a test"), told: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			other := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n, err := io.Copy(io.Discard, r.Body)
				w.Header().Set("X-Seen", fmt.Sprint(r.Method, n, err, r.Host, r.Header.Get(forwardedFor), r.Header[againHeader]))
				w.WriteHeader(http.StatusAccepted)
				io.WriteString(w, "from the other\n")
			}))
			if other.Start(); tt.tls {
				other.Close()
				other = httptest.NewTLSServer(other.Config.Handler)
			}
			defer other.Close()
			nobody, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			nobody.Close()

			told := 0
			draining := make(chan struct{})
			if tt.draining {
				close(draining)
			}
			g := &program{ended: make(chan struct{}), cmd: &exec.Cmd{Process: self}}
			if !tt.alive {
				close(g.ended)
			}
			f := &front{program: g, upstream: &upstream{network: "tcp", address: nobody.Addr().String(), timeout: testTimeout}}
			f.upstream.others = &others{program: g, draining: draining, fail: func() error { told++; return tt.fails }}
			for range 2 {
				ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, other.Listener.Addr())
				r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://site/", strings.NewReader(strings.Repeat("a", tt.size)))
				r.RemoteAddr = "203.0.113.7:1"
				if tt.tls {
					r.TLS = &tls.ConnectionState{}
				}
				if tt.header != "" {
					r.Header.Set(tt.header, "1")
				}
				w := httptest.NewRecorder()
				f.handler().ServeHTTP(w, r)
				if !tt.handed {
					if w.Code != http.StatusBadGateway {
						t.Errorf("status %d", w.Code)
					}
					continue
				}
				seen := fmt.Sprint(http.MethodPost, int64(tt.size), nil, "site", "203.0.113.7", []string{"1"})
				if w.Code != http.StatusAccepted || w.Body.String() != "from the other\n" || w.Header().Get("X-Seen") != seen {
					t.Errorf("status %d, %q, and the other has got %q, not %q", w.Code, w.Body, w.Header().Get("X-Seen"), seen)
				}
			}
			if told != tt.told {
				t.Errorf("the master was told %d times", told)
			}
			if n := len(f.upstream.idle); n > 0 {
				t.Errorf("%d connections are kept for the program", n)
			}
		})
	}
}
