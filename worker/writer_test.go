//go:build linux

package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quiet is a server that does not print the panics it is given.
func quiet(h http.HandlerFunc) *http.Server {
	return &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
}

func TestAccounting(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		class   int // 1 for 1xx
	}{
		{"nothing written", func(w http.ResponseWriter, r *http.Request) {}, 2},
		{"body alone", ok, 2},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }, 3},
		{"not found", http.NotFound, 4},
		{"status once more", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(418); w.WriteHeader(200) }, 4},
		{"early hints", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(103); w.WriteHeader(404) }, 4},
		{"early hints alone", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(103) }, 2},
		{"error", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }, 5},
		{"panic", func(w http.ResponseWriter, r *http.Request) { panic("oh") }, 5},
		{"panic after the header", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); panic("oh") }, 4},
		{"abort", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, 5},
		{"hijack", func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			conn.Close()
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, quiet(tt.handler), time.Second, hold(t))
			c := dial(t, f.addr)
			c.get("/") // fails where the handler does
			c.Close()
			until(t, "the connection is off the books", func() bool { return f.view.Counters().Open == 0 })
			counters := f.view.Counters()
			if counters.Started != 1 || counters.Finished != 1 || counters.Accepted != 1 {
				t.Errorf("%+v, want one of each", counters)
			}
			want := [5]uint64{}
			want[tt.class-1] = 1
			if counters.Status != want {
				t.Errorf("by class %v, want %v", counters.Status, want)
			}
		})
	}
}

// TestWriterKeepsInterfaces asks in the ways in which handlers ask.
func TestWriterKeepsInterfaces(t *testing.T) {
	failed := make(chan error, 40)
	check := func(what string, ok bool) {
		if !ok {
			failed <- errors.New(what)
		}
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h1 := r.ProtoMajor == 1
		_, flusher := w.(http.Flusher)
		_, stringWriter := w.(io.StringWriter)
		_, hijacker := w.(http.Hijacker)
		_, readerFrom := w.(io.ReaderFrom)
		_, pusher := w.(http.Pusher)
		_, closeNotifier := w.(interface{ CloseNotify() <-chan bool })
		check("Flusher", flusher)
		check("StringWriter", stringWriter)
		check("Hijacker", hijacker == h1)
		check("ReaderFrom", readerFrom == h1)
		check("Pusher", pusher == !h1)
		check("CloseNotifier", closeNotifier)
		_, unwrapper := w.(interface{ Unwrap() http.ResponseWriter })
		check("Unwrap", !unwrapper)
		for i := range reflect.TypeFor[*http.ResponseController]().NumMethod() {
			name := reflect.TypeFor[*http.ResponseController]().Method(i).Name
			_, has := reflect.TypeOf(w).MethodByName(name)
			check("what http.ResponseController looks for in "+name, has || name == "Hijack" && !h1)
		}
		rc := http.NewResponseController(w)
		check("SetReadDeadline", rc.SetReadDeadline(time.Time{}) == nil)
		check("SetWriteDeadline", rc.SetWriteDeadline(time.Time{}) == nil)
		check("EnableFullDuplex", rc.EnableFullDuplex() == nil)
		check("Flush", rc.Flush() == nil)
		w.(http.Flusher).Flush()
		if !h1 {
			return
		}
		conn, _, err := rc.Hijack()
		check("Hijack", err == nil)
		defer conn.Close()
		_, connReaderFrom := conn.(io.ReaderFrom)
		_, connWriterTo := conn.(io.WriterTo)
		_, closeWriter := conn.(interface{ CloseWrite() error })
		_, syscallConn := conn.(syscall.Conn)
		_, file := conn.(interface{ File() (*os.File, error) })
		check("sendfile and splice", connReaderFrom && connWriterTo)
		check("CloseWrite", closeWriter)
		check("SyscallConn and File", syscallConn && file)
	})}
	f := start(t, srv, time.Second, hold(t))
	dial(t, f.addr).get("/")

	var http2 http.Protocols
	http2.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &http2}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("http://" + f.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body) // until the handler is done
	res.Body.Close()
	if res.ProtoMajor != 2 {
		t.Errorf("answered over %s, want HTTP/2", res.Proto)
	}
	close(failed)
	for err := range failed {
		t.Errorf("lost or gained: %v", err)
	}
}

// TestPrefaceIsHandedOn lets a handler speak HTTP/2 by itself.
func TestPrefaceIsHandedOn(t *testing.T) {
	f := start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil || r.Method != "PRI" {
			t.Errorf("%s: %v", r.Method, err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "settings\n")
	})}, time.Second, hold(t))
	c := dial(t, f.addr)
	io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if line, err := c.r.ReadString('\n'); line != "settings\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

// TestSendfile sends a file large enough to leave by way of ReadFrom.
func TestSendfile(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 1<<16)
	path := t.TempDir() + "/file"
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	f := start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, path)
	})}, time.Second, hold(t))
	res := dial(t, f.addr).mustGet(t, "/")
	if body, _ := io.ReadAll(res.Body); string(body) != content {
		t.Errorf("got %d bytes, or others than those of the file (%d)", len(body), len(content))
	}
}

// TestLastMomentForClose drains while the handler is running and has not sent its
// header yet, whichever way it is going to do that.
func TestLastMomentForClose(t *testing.T) {
	tests := []struct {
		name string
		send func(w http.ResponseWriter)
	}{
		{"return", func(w http.ResponseWriter) {}},
		{"WriteHeader", func(w http.ResponseWriter) { w.WriteHeader(200) }},
		{"Write", func(w http.ResponseWriter) { w.Write([]byte("x")) }},
		{"WriteString", func(w http.ResponseWriter) { io.WriteString(w, "x") }},
		{"Flush", func(w http.ResponseWriter) { w.(http.Flusher).Flush() }},
		{"controller", func(w http.ResponseWriter) { http.NewResponseController(w).Flush() }},
		{"ReadFrom", func(w http.ResponseWriter) { io.Copy(w, strings.NewReader("x")) }},
		{"keep-alive asked for", func(w http.ResponseWriter) { w.Header().Set("Connection", "keep-alive") }},
		{"after early hints", func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(200) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			running, goOn := make(chan struct{}), make(chan struct{})
			f := start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(running)
				<-goOn
				tt.send(w)
			})}, forever, hold(t))
			c := dial(t, f.addr)
			if err := c.send("/"); err != nil {
				t.Fatal(err)
			}
			await(t, running)
			f.drain()
			close(goOn)
			res, err := c.receive()
			for err == nil && res.StatusCode < 200 {
				res, err = c.receive()
			}
			if err != nil || !res.Close {
				t.Fatalf("%+v, %v, want Connection: close", res, err)
			}
			c.awaitEOF(t)
			f.awaitServed(t)
		})
	}
}

func TestUpgradeKeepsItsConnectionHeader(t *testing.T) {
	f := start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "test")
		w.WriteHeader(http.StatusSwitchingProtocols)
	})}, 0, hold(t))
	res, err := dial(t, f.addr).get("/")
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Header.Get("Connection"); got != "Upgrade" {
		t.Errorf("Connection: %q, want Upgrade", got)
	}
}

func TestKeepAlive(t *testing.T) {
	tests := []struct {
		name      string
		keepAlive time.Duration
		idle      time.Duration // the caller's
		wantIdle  time.Duration
		wantClose bool
	}{
		{"setting", 7 * time.Second, 0, 7 * time.Second, false},
		{"caller's wins", 7 * time.Second, time.Minute, time.Minute, false},
		{"caller's unlimited", 7 * time.Second, -1, -1, false},
		{"none", 0, 0, 0, true},
		{"none, but the caller's", 0, time.Minute, time.Minute, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := &http.Server{Handler: http.HandlerFunc(ok), IdleTimeout: tt.idle}
			f := start(t, srv, tt.keepAlive, hold(t))
			res := dial(t, f.addr).mustGet(t, "/")
			if res.Close != tt.wantClose {
				t.Errorf("answer says close: %v, want %v", res.Close, tt.wantClose)
			}
			if srv.IdleTimeout != tt.wantIdle {
				t.Errorf("IdleTimeout is %v, want %v", srv.IdleTimeout, tt.wantIdle)
			}
		})
	}
}

// TestHooksAreChained checks that what the caller's server brings is called.
func TestHooksAreChained(t *testing.T) {
	type key struct{}
	states := make(chan http.ConnState, 10)
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Context().Value(key{}))
		}),
		ConnState: func(conn net.Conn, state http.ConnState) { states <- state },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, key{}, "from ConnContext")
		},
	}
	f := start(t, srv, time.Second, hold(t))
	c := dial(t, f.addr)
	res := c.mustGet(t, "/")
	if body, _ := io.ReadAll(res.Body); string(body) != "from ConnContext" {
		t.Errorf("answer %q", body)
	}
	c.Close()
	for _, want := range []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateClosed} {
		if got := await(t, states); got != want {
			t.Errorf("state %v, want %v", got, want)
		}
	}
}

// TestSpentWriter lets goroutines of a handler outlive it.
func TestSpentWriter(t *testing.T) {
	writers := make(chan http.ResponseWriter, 1)
	f := start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writers <- w
		io.WriteString(w, r.URL.Path)
	})}, forever, hold(t))
	c := dial(t, f.addr)
	c.mustGet(t, "/one")
	w := await(t, writers)
	until(t, "the request is over", func() bool { return f.board.InFlight() == 0 })
	if _, err := io.WriteString(w, "late"); err == nil {
		t.Error("a write after the handler's return succeeds")
	}
	w.Header().Set("X", "y")
	w.WriteHeader(500)
	w.(http.Flusher).Flush()
	if err := http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)); err == nil {
		t.Error("a deadline after the handler's return succeeds")
	}
	if _, _, err := w.(http.Hijacker).Hijack(); err == nil {
		t.Error("Hijack after the handler's return succeeds")
	}
	res := c.mustGet(t, "/two")
	if body, _ := io.ReadAll(res.Body); string(body) != "/two" {
		t.Errorf("the next answer is %q", body)
	}
}
