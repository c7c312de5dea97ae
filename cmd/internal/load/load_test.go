package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestCompleteAnswers(t *testing.T) {
	var bodies atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost && string(body) == "hello" {
			bodies.Add(1)
		}
		w.Header().Set("X-Worker-Pid", "42")
		fmt.Fprint(w, "world")
	})
	path := filepath.Join(t.TempDir(), "s")
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	go http.Serve(unix, handler)
	defer unix.Close()

	for _, tc := range []struct {
		name        string
		plan        Plan
		connections int
	}{
		{"new connections", Plan{Addr: server.Listener.Addr().String(), Count: 100, Connections: 4}, 100},
		{"keep-alive", Plan{Addr: server.Listener.Addr().String(), Count: 100, Connections: 4, Mode: KeepAlive}, 4},
		{"used ten times", Plan{Addr: server.Listener.Addr().String(), Count: 100, Mode: KeepAlive, PerConnection: 10}, 10},
		{"unix", Plan{Network: "unix", Addr: path, Count: 100, Mode: KeepAlive}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bodies.Store(0)
			tc.plan.Method, tc.plan.Body = http.MethodPost, "hello"
			r := tc.plan.Run(t.Context())
			if r.Complete != 100 || r.Losses() != 0 || bodies.Load() != 100 {
				t.Errorf("%v; %d bodies", r, bodies.Load())
			}
			// A client that finds the count used up opens no connection.
			if r.Connections > tc.connections || r.Connections < 1 || tc.plan.Mode == NewConnection && r.Connections != 100 {
				t.Errorf("%d connections, want %d", r.Connections, tc.connections)
			}
			if r.Workers[42] != 100 {
				t.Errorf("workers: %v", r.Workers)
			}
		})
	}
}

// Connections are dealt out evenly over workers who accept unevenly.
func TestEven(t *testing.T) {
	var accepted atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Worker-Pid", r.Context().Value(pidKey{}).(string))
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		pid := "1"
		if accepted.Add(1)%5 == 0 {
			pid = "2"
		}
		return context.WithValue(ctx, pidKey{}, pid)
	}
	server.Start()
	defer server.Close()
	var mu sync.Mutex
	connections := map[int]map[string]bool{1: {}, 2: {}}
	plan := Plan{Addr: server.Listener.Addr().String(), Connections: 9, Mode: KeepAlive, Even: 2, Count: 900, Seen: func(a Answer) {
		mu.Lock()
		defer mu.Unlock()
		connections[a.Pid][a.Local] = true
	}}
	var made []int64
	plan.Begin = func() { made = append(made, accepted.Load()) }
	r := plan.Run(t.Context())
	if len(made) != 1 || made[0] != accepted.Load() {
		t.Errorf("connections when the run began: %d; %d in the end", made, accepted.Load())
	}
	if r.Complete != 900 || len(connections[1]) > 5 || len(connections[2]) > 5 || len(connections[1])+len(connections[2]) != 9 {
		t.Errorf("%v over %d and %d connections", r, len(connections[1]), len(connections[2]))
	}
}

type pidKey struct{}

// Every way to lose an answer is told from the others, and no request is sent
// twice.
func TestLosses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer string
		want   Kind
	}{
		{"whole", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Complete},
		{"redirect", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", Complete},
		{"nothing", "", NoAnswer},
		{"half a header", "HTTP/1.1 200 OK\r\nContent-Le", Cut},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", Cut},
		{"chunks without an end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", Cut},
		{"another protocol", "SSH-2.0-OpenSSH\r\n\r\n", Garbled},
		{"error", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno", Status},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr, requests := serve(t, tc.answer)
			r := Plan{Addr: addr, Count: 1, Mode: KeepAlive}.Run(t.Context())
			if tc.want == Complete && r.Complete != 1 || tc.want != Complete && (r.Lost[tc.want] != 1 || r.Losses() != 1) {
				t.Errorf("want %v; got %v", tc.want, r)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

// A connection that the server closes while it is idle loses the next request:
// it is not sent again, unlike what an http.Transport does.
func TestIdleConnectionClosed(t *testing.T) {
	addr, requests := serve(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	r := Plan{Addr: addr, Count: 2, Mode: KeepAlive, Pause: 20 * time.Millisecond}.Run(t.Context())
	if r.Complete != 1 || r.Lost[NoAnswer]+r.Lost[Write] != 1 || requests.Load() != 1 {
		t.Errorf("%v; %d requests", r, requests.Load())
	}
}

// An announced end of the connection is honoured.
func TestConnectionClose(t *testing.T) {
	addr, requests := serve(t, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
	r := Plan{Addr: addr, Count: 5, Mode: KeepAlive}.Run(t.Context())
	if r.Complete != 5 || r.Losses() != 0 || r.Connections != 5 || requests.Load() != 5 {
		t.Errorf("%v; %d requests", r, requests.Load())
	}
}

func TestDialAndTimeout(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if r := (Plan{Addr: closed.Addr().String(), Count: 2}).Run(t.Context()); r.Lost[Dial] != 2 {
		t.Errorf("closed port: %v", r)
	}
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	if r := (Plan{Addr: mute.Addr().String(), Count: 1, Timeout: time.Millisecond}).Run(t.Context()); r.Lost[Late] != 1 {
		t.Errorf("mute server: %v", r)
	}
}

// TestSilence waits before the answer, and before its end where there is none: each is
// the silence of its own request.
func TestSilence(t *testing.T) {
	const pause = 50 * time.Millisecond
	wait := func() { <-time.After(pause) }
	handlers := map[string]http.HandlerFunc{
		"before an error": func(w http.ResponseWriter, _ *http.Request) {
			wait()
			w.WriteHeader(http.StatusGatewayTimeout)
		},
		"before a cut": func(w http.ResponseWriter, _ *http.Request) {
			wait()
			io.WriteString(w, "a part")
			http.NewResponseController(w).Flush()
			wait()
			panic(http.ErrAbortHandler)
		},
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			Plan{Addr: server.Listener.Addr().String(), Count: 2, Seen: func(a Answer) {
				if a.Kind == Complete || a.Silence < pause/2 || a.Silence > a.Took || name == "before a cut" && a.Silence > a.Took-pause/2 {
					t.Errorf("%v after %v, the last %v of it silent", a.Kind, a.Took, a.Silence)
				}
			}}.Run(t.Context())
		})
	}
}

// Connections that begin over a time are as far apart as that makes them, at least.
func TestOver(t *testing.T) {
	const connections, over = 5, 100 * time.Millisecond
	var all sync.WaitGroup
	all.Add(connections)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		all.Done()
		all.Wait()
	}))
	defer server.Close()
	began := time.Now()
	var mu sync.Mutex
	var starts []time.Duration
	Plan{Addr: server.Listener.Addr().String(), Connections: connections, Over: over, Count: connections, Seen: func(a Answer) {
		mu.Lock()
		defer mu.Unlock()
		starts = append(starts, a.Start.Sub(began))
	}}.Run(t.Context())
	slices.Sort(starts)
	if len(starts) != connections {
		t.Fatalf("%d requests, want one of each of %d connections", len(starts), connections)
	}
	for i, start := range starts {
		if earliest := over * time.Duration(i) / connections; start < earliest {
			t.Errorf("connection %d began after %v, want %v or more", i, start, earliest)
		}
	}
}

// The end of the context lets the request under way finish.
func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
	defer server.Close()
	r := Plan{Addr: server.Listener.Addr().String(), Mode: KeepAlive}.Run(ctx)
	if r.Complete != 1 || r.Losses() != 0 {
		t.Error(r)
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	for _, q := range []float64{0.1, 0.5, 0.99} {
		exact := time.Duration(q*1000) * time.Millisecond
		if got := h.Quantile(q); got < exact || got > exact+exact/precision {
			t.Errorf("quantile %v: %v, want %v", q, got, exact)
		}
	}
	if h.Quantile(1) != time.Second || h.Max() != time.Second {
		t.Errorf("maximum: %v, %v", h.Quantile(1), h.Max())
	}
	for _, d := range []time.Duration{-1, 0, 1, precision, 2*precision - 1, 2 * precision, 1<<40 + 12345, 1<<63 - 1} {
		if u := upper(bucket(d)); u < d || float64(u) > float64(max(d, 0))*(1+1.0/precision) {
			t.Errorf("%d is in a bucket up to %d", d, u)
		}
	}
}

// serve answers the first request of each connection with the text and then
// closes it.
func serve(t *testing.T, answer string) (addr string, requests *atomic.Int64) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests = new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				requests.Add(1)
				io.WriteString(conn, answer)
			}
			conn.Close()
		}
	}()
	return l.Addr().String(), requests
}

func ExampleResult_String() {
	r := newResult()
	for i := range 3 {
		r.note(Answer{Took: time.Millisecond, Pid: i})
	}
	r.note(Answer{Kind: NoAnswer, Err: io.EOF})
	fmt.Println(r)
	// Output:
	// 3 complete, 1 lost, 0 connections, 2 workers, 0.0s; latency p50 1ms, p99 1ms, longest 1ms
	//   no answer: 1 (EOF)
}
