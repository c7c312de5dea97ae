//go:build linux

package proxy

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/sealed"
)

// TestHandedOnAddresses: what was handed on by a front of the same master comes from the
// client, for the program; of any other front it knows the address as well.
func TestHandedOnAddresses(t *testing.T) {
	ours, theirs := secret(bytes.Repeat([]byte("o"), protocol.FrontSecret)), secret(bytes.Repeat([]byte("t"), protocol.FrontSecret))
	for _, tt := range []struct {
		name       string
		hands, has secret // of who hands on, and of who answers
		size       int
		want       string
	}{
		{"one master", ours, ours, 0, "203.0.113.7"},
		{"one master, long", ours, ours, 100 << 10, "203.0.113.7"},
		{"two masters", theirs, ours, 0, "203.0.113.7, 127.0.0.1"},
		{"no secret", nil, nil, 0, "203.0.113.7, 127.0.0.1"},
		{"no secret here", nil, ours, 0, "203.0.113.7, 127.0.0.1"},
		{"no secret there", ours, nil, 0, "203.0.113.7, 127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got http.Header
			answering, srv := newFront(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header })
			answering.secret = tt.has
			nobody, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			nobody.Close()
			g := &program{ended: make(chan struct{})}
			close(g.ended)
			f := &front{program: g, secret: tt.hands, upstream: &upstream{network: "tcp", address: nobody.Addr().String(), timeout: testTimeout}}
			f.upstream.others = &others{program: g, draining: make(chan struct{}), fail: func() error { return nil }, secret: tt.hands}
			ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, srv.Listener.Addr())
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://site/", strings.NewReader(strings.Repeat("a", tt.size)))
			r.RemoteAddr = "203.0.113.7:1"
			w := httptest.NewRecorder()
			f.handler().ServeHTTP(w, r)
			if w.Code != http.StatusOK || got.Get(forwardedFor) != tt.want || got.Get(forwardedHost) != "site" || got[againHeader] != nil {
				t.Errorf("status %d, the program has got %v", w.Code, got)
			}
		})
	}
}

// TestForgedMarks: nobody is believed who has no mark, or that of another request, and no
// program sees one.
func TestForgedMarks(t *testing.T) {
	s := secret(bytes.Repeat([]byte("s"), protocol.FrontSecret))
	honest := http.Header{forwardedFor: {"203.0.113.7"}, forwardedHost: {"site"}, forwardedProto: {"https"}, requestID: {"seven"}}
	with := func(name string, values ...string) http.Header {
		h := honest.Clone()
		h[name] = values
		return h
	}
	mark := s.mark(honest)
	for _, tt := range []struct {
		name   string
		header http.Header
		marks  []string
		want   bearer
	}{
		{"true", honest, []string{mark}, sibling},
		{"none", honest, nil, nobody},
		{"a word", honest, []string{"1"}, somebody},
		{"empty", honest, []string{""}, somebody},
		{"cut", honest, []string{mark[:len(mark)-1]}, somebody},
		{"two", honest, []string{mark, mark}, somebody},
		{"of no secret", honest, []string{secret(nil).mark(honest)}, somebody},
		{"of another secret", honest, []string{secret("another").mark(honest)}, somebody},
		{"other client", with(forwardedFor, "203.0.113.8"), []string{mark}, somebody},
		{"one client more", with(forwardedFor, "203.0.113.7", "203.0.113.8"), []string{mark}, somebody},
		{"other host", with(forwardedHost, "elsewhere"), []string{mark}, somebody},
		{"other protocol", with(forwardedProto, "http"), []string{mark}, somebody},
		{"other request", with(requestID, "eight"), []string{mark}, somebody},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = tt.header.Clone()
		if tt.marks != nil {
			r.Header[againHeader] = tt.marks
		}
		r = s.unmark(r)
		if got := handedOn(r.Context()); got != tt.want || r.Header[againHeader] != nil {
			t.Errorf("%s: %d, want %d, and the program sees %v", tt.name, got, tt.want, r.Header)
		}
	}
	if strings.Contains(mark, string(s)) {
		t.Errorf("the mark %q has the secret", mark)
	}
}

// TestTakeSecret: a front has its secret from a descriptor that no child gets.
func TestTakeSecret(t *testing.T) {
	whole := bytes.Repeat([]byte("w"), protocol.FrontSecret)
	for _, tt := range []struct {
		name, value string
		text        []byte
		want        secret
	}{
		{"whole", "", whole, whole},
		{"short", "", whole[1:], nil},
		{"not given", "none", nil, nil},
		{"stderr", strconv.Itoa(unix.Stderr), nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fd := -1
			if tt.text != nil {
				var err error
				if fd, err = sealed.New("gosuper-test", tt.text); err != nil {
					t.Skip(err)
				}
				tt.value = strconv.Itoa(fd)
			}
			t.Setenv(protocol.EnvFrontFD, tt.value)
			if got := takeSecret(); !slices.Equal(got, tt.want) {
				t.Errorf("got %q", got)
			}
			if value, set := os.LookupEnv(protocol.EnvFrontFD); set {
				t.Errorf("children see %q", value)
			}
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fd >= 0 && err != unix.EBADF {
				t.Errorf("the descriptor is open: %v", err)
			}
			if out, err := exec.CommandContext(t.Context(), "/bin/true").CombinedOutput(); err != nil {
				t.Errorf("stderr is gone: %s, %v", out, err)
			}
		})
	}
}
