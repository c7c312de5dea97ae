package httpd

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// testTimeout is how long anything is waited for that has to come.
const testTimeout = time.Minute

// serve answers on a listener of its own, at an address that it returns.
func serve(t *testing.T, connections int, h http.HandlerFunc) (*Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Handler: h, Connections: connections, Log: log.New(io.Discard, "", 0)})
	s.Serve(l)
	t.Cleanup(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(over)
	})
	return s, l.Addr().String()
}

// client is one connection.
type client struct {
	*testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, address string) client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(testTimeout))
	return client{t, c, bufio.NewReader(c)}
}

const ask = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func (c client) say(text string) {
	c.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.Fatal(err)
	}
}

// hear is the body of the next answer; "": there was none.
func (c client) hear() string {
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return ""
	}
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}

// TestWhoGoes: of a full house the one goes that needs its place the least.
func TestWhoGoes(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	_, address := serve(t, 3, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/work" {
			entered <- struct{}{}
			<-leave
		}
		io.WriteString(w, "answer")
	})
	working := dial(t, address)
	working.say(strings.Replace(ask, "/", "/work", 1))
	<-entered
	asking := dial(t, address)
	asking.say(ask[:20])
	idling := dial(t, address)
	idling.say(ask)
	if idling.hear() != "answer" {
		t.Fatal("no answer in a house that is not full")
	}
	first := dial(t, address)
	first.say(ask)
	if first.hear() != "answer" {
		t.Error("no answer in the place of one that idles")
	}
	if idling.hear() != "" {
		t.Error("the one that idles is still there")
	}
	asking.say(ask[20:])
	if asking.hear() != "answer" {
		t.Error("one that was asking went before one that idled")
	}
	var silent []client
	for range 6 {
		silent = append(silent, dial(t, address))
	}
	last := dial(t, address)
	last.say(ask)
	if last.hear() != "answer" || silent[0].hear() != "" {
		t.Error("no answer in the place of the oldest of those who say nothing")
	}
	close(leave)
	if working.hear() != "answer" {
		t.Error("one whose request was being worked at had to go")
	}
}

// TestWorkIsWaitedFor: where the handler is at work on all requests, the next one
// waits.
func TestWorkIsWaitedFor(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	_, address := serve(t, 2, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		entered <- struct{}{}
		<-leave
		io.WriteString(w, "answer")
	})
	var all []client
	for range 3 {
		c := dial(t, address)
		c.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
		all = append(all, c)
	}
	<-entered
	<-entered
	select {
	case <-entered:
		t.Error("a third one is heard")
	case <-time.After(3 * grace): // a pause in which nothing must happen
	}
	leave <- struct{}{}
	<-entered
	close(leave)
	for i, c := range all {
		if c.hear() != "answer" {
			t.Errorf("no answer to request %d", i)
		}
	}
}

// TestEnd: a request that comes with the end of its server is answered.
func TestEnd(t *testing.T) {
	for range 50 {
		entered, leave := make(chan struct{}), make(chan struct{})
		s, address := serve(t, 1, func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-leave
			io.WriteString(w, "answer")
		})
		c := dial(t, address)
		c.say(ask)
		<-entered
		s.Close()
		if late, err := net.Dial("tcp", address); err == nil {
			late.Close()
			t.Fatal("a closed server accepts connections")
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			s.Shutdown(t.Context())
		}()
		close(leave)
		if got := c.hear(); got != "answer" {
			t.Fatalf("answer %q", got)
		}
		<-over
	}
}

// TestEndInTime: an end that has no time left cuts what goes on.
func TestEndInTime(t *testing.T) {
	entered := make(chan struct{})
	s, address := serve(t, 1, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	c := dial(t, address)
	c.say(ask)
	<-entered
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	s.Shutdown(impatient)
	if got := c.hear(); got != "" {
		t.Errorf("answer %q", got)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(l)
	if late, err := net.Dial("tcp", l.Addr().String()); err == nil {
		late.Close()
		t.Error("a server that has ended listens")
	}
}
