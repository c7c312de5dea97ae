//go:build linux

package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// before returns a client of a front before a program that serves each connection with a
// function.
func before(t *testing.T, serve func(c net.Conn, r *bufio.Reader)) (*front, *httptest.Server) {
	t.Helper()
	f := &front{upstream: serveEach(t, serve), program: &program{ended: make(chan struct{})}}
	srv := httptest.NewServer(f.handler())
	t.Cleanup(srv.Close)
	t.Cleanup(f.upstream.closeIdle)
	return f, srv
}

// TestNonsense: what the program says that is no answer is 502, and the request after it
// has its own.
func TestNonsense(t *testing.T) {
	for name, nonsense := range map[string]string{
		"garbage":              "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"nothing":              "",
		"half a header":        "HTTP/1.1 200 OK\r\nContent-Le",
		"no length":            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
		"two lengths":          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"a switch nobody asks": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		"interim answers":      strings.Repeat("HTTP/1.1 102 Processing\r\nX-More: "+strings.Repeat("x", 1000)+"\r\n\r\n", 2000),
		"HTTP/2":               "\x00\x00\x12\x04\x00\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			_, srv := before(t, func(c net.Conn, r *bufio.Reader) {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				if req.URL.Path == "/" {
					io.WriteString(c, hello)
					return
				}
				io.WriteString(c, nonsense)
			})
			for path, want := range map[string]int{"/nonsense": http.StatusBadGateway, "/": http.StatusOK} {
				res, err := srv.Client().Get(srv.URL + path)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != want {
					t.Errorf("%s: %s", path, res.Status)
				}
			}
		})
	}
}

// TestTwoAnswers: an answer nobody has asked for is nobody's.
func TestTwoAnswers(t *testing.T) {
	for name, pause := range map[string]time.Duration{"at once": 0, "later": 2 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			f, srv := before(t, func(c net.Conn, r *bufio.Reader) {
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(req.URL.Path), req.URL.Path)
					io.WriteString(c, answer)
					time.Sleep(pause) // of the program that answers twice, which is what is tested
					io.WriteString(c, answer)
				}
			})
			for i := range 5 {
				path := fmt.Sprint("/", i)
				res, err := srv.Client().Get(srv.URL + path)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || string(body) != path {
					t.Errorf("%s: %q, %v", path, body, err)
				}
				f.upstream.mu.Lock()
				for _, c := range f.upstream.idle {
					for quiet(c.Conn) {
						time.Sleep(time.Millisecond) // between two looks
					}
					c.since = c.since.Add(-reuseAfter)
				}
				f.upstream.mu.Unlock()
			}
		})
	}
}

// TestCutAnswer: an answer that ends too early does not look complete.
func TestCutAnswer(t *testing.T) {
	for name, answer := range map[string]string{
		"length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"bad":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, srv := before(t, func(c net.Conn, r *bufio.Reader) {
				read(r)
				io.WriteString(c, answer)
			})
			res, err := srv.Client().Get(srv.URL)
			if err != nil {
				return // not even the header was believed
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("%s looks complete: %q", res.Status, body)
			}
		})
	}
}

// TestRequestTrailers pass, as those of answers do.
func TestRequestTrailers(t *testing.T) {
	_, srv := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, r.Trailer.Get("X-Sum"))
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, io.MultiReader(strings.NewReader("a body")))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = -1
	req.Trailer = http.Header{"X-Sum": {"42"}}
	res, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "42" {
		t.Errorf("%q, %v", body, err)
	}
}

// TestBrokenBody: what the client breaks off is not the program's fault.
func TestBrokenBody(t *testing.T) {
	for name, request := range map[string]string{
		"chunks": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
		"length": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			_, srv := before(t, func(_ net.Conn, r *bufio.Reader) { read(r) })
			c, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(testTimeout))
			io.WriteString(c, request)
			c.(*net.TCPConn).CloseWrite()
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || answer.StatusCode != http.StatusBadRequest {
				t.Errorf("%v, %v", answer, err)
			}
		})
	}
}

// TestContinue: a client that asks first is told to send its body, or has an answer
// instead.
func TestContinue(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
	}{{"short", 10}, {"long", 100 << 10}} {
		t.Run(tt.name, func(t *testing.T) {
			_, srv := newFront(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Expect") != "" {
					t.Error("the program is asked as well")
				}
				n, _ := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n)
			})
			c, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(testTimeout))
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", tt.size)
			r := bufio.NewReader(c)
			if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("%q, %v", line, err)
			}
			r.ReadString('\n')
			c.Write(bytes.Repeat([]byte("a"), tt.size))
			answer, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(answer.Body); string(body) != fmt.Sprint(tt.size) {
				t.Errorf("%s %q", answer.Status, body)
			}
		})
	}
}
