//go:build linux

package control

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// testTimeout is how long anything is waited for that has to come.
const testTimeout = time.Minute

// serve answers for a master on a socket of its own and returns its address.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	address := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(h, log.New(io.Discard, "", 0))
	s.Serve(l)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		s.Shutdown(ctx)
	})
	return address
}

func TestClientAndServer(t *testing.T) {
	f := &fake{reload: Reload{Result: RolledBack, Error: "worker 3: exit status 1"}, ended: make(chan struct{}), health: unready.health}
	c := NewClient(serve(t, NewHandler(f)))
	if st, err := c.Status(t.Context(), true); err != nil || st.Name != "agents" || len(st.Requests) != 2 {
		t.Errorf("status %+v, %v", st, err)
	}
	if h, err := c.Health(t.Context()); err != nil || h != f.health {
		t.Errorf("health %+v, %v", h, err)
	}
	if r, err := c.Reload(t.Context(), true); err != nil || r != f.reload || f.asked != "reload and wait" {
		t.Errorf("reload %+v, %v, asked for %q", r, err, f.asked)
	}
	if s, err := c.Scale(t.Context(), Scaling{By: new(3)}); err != nil || s.To != 5 {
		t.Errorf("scaled %+v, %v", s, err)
	}
	if r, err := c.Recycle(t.Context(), Recycling{Workers: []int{4}}); err != nil || len(r.Workers) != 1 || r.Workers[0] != 4 {
		t.Errorf("recycled %+v, %v", r, err)
	}
	close(f.ended)
	if err := c.Stop(t.Context(), true, true); err != nil || f.asked != "stop quickly" {
		t.Errorf("stop: %v, asked for %q", err, f.asked)
	}
	f.err = &Error{Status: 404, Message: "no such worker", Hint: "look again"}
	_, err := c.Recycle(t.Context(), Recycling{All: true})
	if e, ok := errors.AsType[*Error](err); !ok || *e != *f.err.(*Error) {
		t.Errorf("a refusal arrives as %#v", err)
	}
}

// TestShutdownLetsAnswersOut: who waits for the end of the master learns of it.
func TestShutdownLetsAnswersOut(t *testing.T) {
	f := &fake{ended: make(chan struct{})}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	h := NewHandler(f)
	s := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { close(asked); h.ServeHTTP(w, r) }), log.New(io.Discard, "", 0))
	s.Serve(l)
	told := make(chan error)
	go func() { told <- NewClient(l.Addr().String()).Stop(t.Context(), false, true) }()
	<-asked
	close(f.ended)
	s.Shutdown(t.Context())
	if err := <-told; err != nil {
		t.Error(err)
	}
}

// TestWaitingOutlivesAnUpgrade: who waits for a master that becomes the next version
// meanwhile waits for that one.
func TestWaitingOutlivesAnUpgrade(t *testing.T) {
	f := &fake{ended: make(chan struct{})}
	close(f.ended)
	h := NewHandler(f)
	asked := 0
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked < 3 {
			panic(http.ErrAbortHandler) // cuts the connection, as an exec does
		}
		h.ServeHTTP(w, r)
	}))
	c := NewClient(address)
	if err := c.Stop(t.Context(), false, false); err == nil {
		t.Error("without waiting it says nothing of an answer that did not come")
	}
	if err := c.Stop(t.Context(), false, true); err != nil || asked != 3 || f.asked != "stop" {
		t.Errorf("after %d questions: %v, asked for %q", asked, err, f.asked)
	}
	f.reload = Reload{Result: OK}
	asked = 0
	if _, err := c.Reload(t.Context(), false); err == nil {
		t.Error("without waiting it says nothing of a reload that was not answered")
	}
	if r, err := c.Reload(t.Context(), true); err != nil || r != f.reload || asked != 3 || f.asked != "reload and wait" {
		t.Errorf("after %d questions: %+v, %v, asked for %q", asked, r, err, f.asked)
	}
	asked = 0
	looks := 0
	if err := c.Watch(t.Context(), func(Status) bool { looks++; return looks == 2 }); err != nil || looks != 2 {
		t.Errorf("who watches saw %d times, %v", looks, err)
	}
}

// TestWatchEnds: who watches a master that ends is told.
func TestWatchEnds(t *testing.T) {
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		os.Remove(r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
		panic(http.ErrAbortHandler)
	}))
	if err := NewClient(address).Watch(t.Context(), func(Status) bool { return false }); err == nil || !strings.Contains(err.Error(), "ended before it answered") {
		t.Errorf("it is told %v", err)
	}
}

// TestFullHouse: whoever holds all connections without asking keeps nobody out, and
// those who wait for what they have asked stay.
func TestFullHouse(t *testing.T) {
	f := &fake{ended: make(chan struct{})}
	address := serve(t, NewHandler(f))
	c := NewClient(address)
	told := make(chan error)
	go func() { told <- c.Stop(t.Context(), false, true) }()
	for range 3 * maxConnections {
		silent, err := net.Dial("unix", address)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		io.WriteString(silent, "POST /v1/scale HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
	}
	begin := time.Now()
	if _, err := c.Status(t.Context(), false); err != nil || time.Since(begin) > headerTime/2 {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
	close(f.ended)
	if err := <-told; err != nil {
		t.Error(err)
	}
}

// deaf remembers nothing of what many ask of it at once.
type deaf struct{ *fake }

func (deaf) Stop(context.Context, bool) error { return nil }

// TestServerLeavesNothing: no goroutine stays for those who hung up, whatever
// they had sent.
func TestServerLeavesNothing(t *testing.T) {
	address := serve(t, NewHandler(deaf{&fake{ended: make(chan struct{})}}))
	before := runtime.NumGoroutine()
	for range 3 * maxConnections {
		for _, text := range []string{"", "GET /v1/", "POST /v1/scale HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", "POST /v1/stop?wait=1 HTTP/1.1\r\nHost: x\r\n\r\n", strings.Repeat("x", 2*maxHeader)} {
			c, err := net.Dial("unix", address)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, text)
			c.Close()
		}
	}
	for start := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) { // until they have noticed
		if time.Since(start) > testTimeout {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
	if _, err := NewClient(address).Status(t.Context(), false); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestClientMeetsOthers: what is no master, or none any more, is told apart.
func TestClientMeetsOthers(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	say := func(status int, text string) string {
		return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, text)
		}))
	}
	for name, c := range map[string]struct{ address, want string }{
		"nothing": {filepath.Join(dir, "none"), "cannot reach a master at " + filepath.Join(dir, "none") + ": no such file or directory"},
		"stale":   {stale, "cannot reach a master at " + stale + ": connection refused"},
		"html":    {say(200, "<html>"), "does not answer like a master of this version: 200 OK"},
		"404":     {say(404, "404 page not found"), "does not answer like a master of this version: 404 Not Found"},
		"silent":  {serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })), "ended before it answered"},
	} {
		if _, err := NewClient(c.address).Status(t.Context(), false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	slow := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := NewClient(slow).Status(ctx, false); err == nil || !strings.Contains(err.Error(), "does not answer in time") {
		t.Errorf("a slow master: %v", err)
	}
}
