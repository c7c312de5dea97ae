//go:build linux

package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// start2 serves HTTP/2 with limits, over TLS if secure, and returns a client that
// uses one connection.
func start2(t testing.TB, secure bool, h http.HandlerFunc, limits timeouts) (*fixture, *http.Client) {
	t.Helper()
	srv := quiet(h)
	in := inheritance{keepAlive: forever, limits: limits}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	if secure {
		in.certificate, _ = readPair(pairFile(t))
		transport.Protocols.SetHTTP2(true)
		transport.TLSClientConfig = trusting()
	} else {
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetUnencryptedHTTP2(true)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return startAs(t, srv, in, hold(t)), &http.Client{Transport: transport, Timeout: forever}
}

// url is a path of the fixture as a client names it.
func (f *fixture) url(path string) string {
	if f.certificate != nil {
		return "https://" + f.addr + path
	}
	return "http://" + f.addr + path
}

func TestHTTP2Deadline(t *testing.T) {
	flush := func(w http.ResponseWriter) { http.NewResponseController(w).Flush() }
	tests := []struct {
		name     string
		body     io.Reader
		handle   func(w http.ResponseWriter, r *http.Request)
		answered bool
	}{
		{"nothing written", nil, func(w http.ResponseWriter, r *http.Request) {}, true},
		{"early hints sent", nil, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(103) }, true},
		{"header being written", nil, func(w http.ResponseWriter, r *http.Request) {
			for begin := time.Now(); r.Context().Err() == nil || time.Since(begin) < allowed+allowed/2; {
				w.Header().Set("X", "y")
				rest(time.Millisecond)
			}
		}, true},
		{"body half read", strings.NewReader(strings.Repeat("x", 100_000)), func(w http.ResponseWriter, r *http.Request) { r.Body.Read(make([]byte, 10)) }, true},
		{"waiting for the body", neverEnding{}, func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body) }, true},
		{"header in net/http's buffer", nil, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201) }, false},
		{"body in net/http's buffer", nil, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "half") }, false},
		{"header", nil, func(w http.ResponseWriter, r *http.Request) { flush(w) }, false},
		{"half a body", nil, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "half"); flush(w) }, false},
		{"more than fits", nil, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 5000)) }, false},
		{"half of its length", nil, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "half")
			flush(w)
		}, false},
	}
	for _, secure := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s/tls=%v", tt.name, secure), func(t *testing.T) {
				t.Parallel()
				s := newStuck(t)
				endNeighbour := make(chan struct{})
				f, client := start2(t, secure, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/neighbour" {
						for i := 0; ; i++ {
							fmt.Fprintln(w, i)
							flush(w)
							select {
							case <-endNeighbour:
								return
							case <-time.After(allowed / 10):
							}
						}
					}
					tt.handle(w, r)
					<-r.Context().Done()
					if cause := context.Cause(r.Context()); cause != http.ErrHandlerTimeout {
						t.Errorf("the cause is %v", cause)
					}
					<-s.goOn
					w.Header().Set("X", "y")
					w.WriteHeader(200)
					_, err := w.Write(make([]byte, 100_000))
					s.done <- err
				}, timeouts{Timeout: allowed, Stream: allowed})
				neighbour, err := client.Get(f.url("/neighbour"))
				if err != nil {
					t.Fatal(err)
				}
				defer neighbour.Body.Close()
				begin := time.Now()
				res, err := client.Post(f.url("/"), "text/plain", tt.body)
				var body []byte
				if err == nil {
					body, err = io.ReadAll(res.Body)
					res.Body.Close()
				}
				requireTook(t, begin, allowed)
				flags := scoreboard.InUse | scoreboard.Ended
				if tt.answered {
					if err != nil || res.ProtoMajor != 2 || res.StatusCode != http.StatusGatewayTimeout || res.Header.Get("Retry-After") == "" {
						t.Errorf("answer %+v %q, %v", res, body, err)
					}
				} else if err == nil {
					t.Errorf("the client sees a complete response: %+v %q", res, body)
				}
				if requests := f.view.Requests(); len(requests) != 2 || (requests[0].Flags|requests[1].Flags)&flags != flags {
					t.Errorf("the board has %+v", requests)
				}
				if res, err := client.Get(f.url("/neighbour")); err != nil { // another one, on the same connection
					t.Error(err)
				} else {
					res.Body.Close()
				}
				close(s.goOn)
				if err := await(t, s.done); !errors.Is(err, http.ErrHandlerTimeout) {
					t.Errorf("a late write gives %v", err)
				}
				close(endNeighbour)
				lines, err := io.ReadAll(neighbour.Body)
				if err != nil || !strings.HasPrefix(string(lines), "0\n1\n") {
					t.Errorf("the neighbour got %q, %v", lines, err)
				}
				if counters := f.view.Counters(); counters.Accepted != 1 || counters.Timeouts != 1 {
					t.Errorf("%+v", counters)
				}
				until(t, "all is over", func() bool { return f.board.InFlight() == 0 && len(f.view.Requests()) == 0 })
			})
		}
	}
}

// neverEnding is a body of which nothing is ever sent.
type neverEnding struct{}

func (neverEnding) Read([]byte) (int, error) { select {} }

func TestHTTP2Progress(t *testing.T) {
	const step, steps = allowed / 6, 15
	tests := []struct {
		name   string
		handle func(w http.ResponseWriter, r *http.Request)
		body   func() io.Reader
	}{
		{"stream", func(w http.ResponseWriter, r *http.Request) {
			for range steps {
				io.WriteString(w, "token\n")
				http.NewResponseController(w).Flush()
				rest(step)
			}
		}, func() io.Reader { return nil }},
		{"upload", func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, func() io.Reader {
			r, w := io.Pipe()
			go func() {
				for range steps {
					w.Write([]byte("x"))
					rest(step)
				}
				w.Close()
			}()
			return r
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, client := start2(t, false, tt.handle, timeouts{Timeout: allowed, Stream: allowed})
			res, err := client.Post(f.url("/"), "", tt.body())
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
}

// TestHTTP2SlowReader is blocked by the window of a stream that nobody reads.
func TestHTTP2SlowReader(t *testing.T) {
	t.Parallel()
	done := make(chan error, 1)
	f, client := start2(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			_, err := w.Write(make([]byte, 64<<20))
			done <- err
		}
	}, timeouts{Stream: allowed})
	begin := time.Now()
	res, err := client.Get(f.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := await(t, done); !errors.Is(err, http.ErrHandlerTimeout) {
		t.Errorf("the write gives %v", err)
	}
	requireTook(t, begin, allowed)
	if _, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Error("the client sees a complete response")
	}
	if res, err := client.Get(f.url("/next")); err != nil {
		t.Error(err)
	} else {
		res.Body.Close()
	}
	if n := f.view.Counters().Accepted; n != 1 {
		t.Errorf("%d connections, want the same one", n)
	}
}

// TestHTTP2Header checks that the handler's own header reaches the client as
// net/http would send it.
func TestHTTP2Header(t *testing.T) {
	f, client := start2(t, false, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		w.Header().Set("X-Before", "1")
		w.WriteHeader(201)
		w.Header().Set("X-After", "1")
		io.WriteString(w, "body")
		w.Header().Set("X-Announced", "1")
		w.Header().Set(http.TrailerPrefix+"X-Unannounced", "1")
	}, timeouts{Timeout: time.Hour})
	res, err := client.Get(f.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != "body" || res.StatusCode != 201 {
		t.Errorf("%s %q, %v", res.Status, body, err)
	}
	if res.Header.Get("X-Before") != "1" || res.Header.Get("X-After") != "" {
		t.Errorf("header %v", res.Header)
	}
	if res.Trailer.Get("X-Announced") != "1" || res.Trailer.Get("X-Unannounced") != "1" {
		t.Errorf("trailer %v", res.Trailer)
	}
}
