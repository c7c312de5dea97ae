//go:build linux

package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"
)

// newFront returns a front before a program that serves with the handler, and a client of
// it.
func newFront(t testing.TB, handler http.HandlerFunc) (*front, *httptest.Server) {
	t.Helper()
	behind := httptest.NewServer(handler)
	t.Cleanup(behind.Close)
	f := &front{
		upstream: &upstream{network: "tcp", address: behind.Listener.Addr().String(), timeout: testTimeout},
		program:  &program{ended: make(chan struct{})},
	}
	f.pulse.upstream = f.upstream
	srv := httptest.NewServer(f.handler())
	t.Cleanup(srv.Close)
	t.Cleanup(f.upstream.closeIdle)
	return f, srv
}

// TestPasses: trailers, interim answers, and a body that is streamed both ways.
func TestPasses(t *testing.T) {
	next := make(chan struct{})
	_, srv := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		<-next
		for lines := bufio.NewScanner(r.Body); lines.Scan(); http.NewResponseController(w).Flush() {
			fmt.Fprintln(w, lines.Text())
		}
		w.Header().Set("X-Sum", "42")
	})
	hints := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code == http.StatusEarlyHints && h.Get("Link") != "" {
			hints++
		}
		return nil
	}})
	body, send := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/a?b=c", body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := srv.Client().Do(req) // the header comes while the body is still to be sent
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	close(next)
	lines := bufio.NewReader(res.Body)
	for i := range 3 {
		want := fmt.Sprintln("line", i)
		io.WriteString(send, want)
		if got, err := lines.ReadString('\n'); err != nil || got != want {
			t.Fatalf("%q, %v", got, err)
		}
	}
	send.Close()
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if hints != 1 || res.Trailer.Get("X-Sum") != "42" {
		t.Errorf("%d early hints, trailer %v", hints, res.Trailer)
	}
}

// TestUpgrade has both ends speak another protocol.
func TestUpgrade(t *testing.T) {
	_, srv := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nready\n")
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(c, strings.ToUpper(line))
		}
	})
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testTimeout))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", res, err)
	}
	for _, want := range []string{"ready\n", "ONE\n", "TWO\n"} {
		if got, err := r.ReadString('\n'); err != nil || got != want {
			t.Fatalf("%q, %v", got, err)
		}
		io.WriteString(c, map[string]string{"ready\n": "one\n", "ONE\n": "two\n", "TWO\n": "\n"}[want])
	}
}

// TestForwarded is what the program is told of the client, by who the peer is.
func TestForwarded(t *testing.T) {
	var got http.Header
	var host string
	f, _ := newFront(t, func(w http.ResponseWriter, r *http.Request) { got, host = r.Header, r.Host })
	for _, tt := range []struct {
		name, peer      string
		given           http.Header
		for_, host, pro string
	}{
		{"a client", "203.0.113.7:1", nil, "203.0.113.7", "site", "http"},
		{"a client that lies", "203.0.113.7:1", http.Header{"X-Forwarded-For": {"1.1.1.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil"}, "Forwarded": {"for=1.1.1.1"}}, "1.1.1.1, 203.0.113.7", "site", "http"},
		{"a proxy near by", "10.0.0.1:1", http.Header{"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"www"}}, "203.0.113.7, 10.0.0.1", "www", "https"},
		{"a proxy on a unix socket", "@", http.Header{"X-Forwarded-For": {"203.0.113.7"}}, "203.0.113.7", "site", "http"},
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://site/", nil)
		req.RemoteAddr = tt.peer
		for name, values := range tt.given {
			req.Header[name] = values
		}
		req.Header.Set("X-Request-Id", "7")
		f.handler().ServeHTTP(httptest.NewRecorder(), req)
		want := []string{tt.for_, tt.host, tt.pro, "", "7", "site"}
		if all := []string{got.Get(forwardedFor), got.Get(forwardedHost), got.Get(forwardedProto), got.Get("Forwarded"), got.Get(requestID), host}; !slices.Equal(all, want) {
			t.Errorf("%s: %q, not %q", tt.name, all, want)
		}
	}
}

// TestNobodyBehind: a program that is not there, and one that has ended.
func TestNobodyBehind(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{upstream: &upstream{network: "tcp", address: l.Addr().String(), timeout: testTimeout}, program: &program{ended: make(chan struct{})}}
	l.Close()
	status := func() (int, string) {
		w := httptest.NewRecorder()
		f.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		return w.Code, w.Header().Get("Connection")
	}
	if code, _ := status(); code != http.StatusBadGateway {
		t.Errorf("status %d", code)
	}
	close(f.program.ended)
	if code, connection := status(); code != http.StatusBadGateway || connection != "close" {
		t.Errorf("status %d, Connection: %s", code, connection)
	}
}

// TestPulse: a program that runs shows it, one that is stuck does not before it goes on,
// and of one that keeps silent connections nothing is known.
func TestPulse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := pulse{upstream: &upstream{network: "tcp", address: l.Addr().String(), timeout: testTimeout}}
	ended := make(chan struct{})
	p.feel(ended) // of which nothing is known yet
	p.usable.Store(true)
	felt := make(chan struct{})
	for range 3 {
		go func() {
			p.feel(ended)
			felt <- struct{}{}
		}()
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-felt:
		t.Error("a program that does nothing is alive")
	default:
	}
	c.Close()
	for range 3 {
		// Those that came later have a connection of their own.
		select {
		case <-felt:
		case <-time.After(testTimeout):
			t.Fatal("a program that closes connections is not alive")
		}
	}
	close(ended)
	p.feel(ended)
}

// TestCanceled ends a request on whose answer nobody waits any more.
func TestCanceled(t *testing.T) {
	gone := make(chan struct{})
	f, _ := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(http.ErrHandlerTimeout) })
	f.handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	select {
	case <-gone:
	case <-time.After(testTimeout):
		t.Error("the program goes on")
	}
}

// TestUnreadBody: a request that is answered before its body was read costs its client
// nothing but the answer. The connection serves the next one.
func TestUnreadBody(t *testing.T) {
	f, srv := newFront(t, func(http.ResponseWriter, *http.Request) {})
	program := f.upstream.address
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testTimeout))
	answers := bufio.NewReader(c)
	for i, size := range []int{10, wholeBody + 1, 100 << 10, 10} {
		for _, want := range []int{http.StatusBadGateway, http.StatusOK} {
			f.upstream.closeIdle()
			f.upstream.address = map[int]string{http.StatusBadGateway: nobody.Addr().String(), http.StatusOK: program}[want]
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
			res, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != want {
				t.Fatalf("request %d: %s, want %d, %v", i, res.Status, want, err)
			}
		}
	}
}
