//go:build linux

package worker

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// forever is the cap on waiting for what must happen.
const forever = 60 * time.Second

func TestMain(m *testing.M) {
	if name := os.Getenv(helperEnv); name != "" {
		runHelper(name)
	}
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		parallel.Value.Set("8") // the parallel ones wait for limits most of the time
	}
	code := m.Run()
	if err := unusedHelpers(); err != nil && code == 0 && flag.Lookup("test.run").Value.String() == "" {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// A fixture is a worker inside the test's own process: it serves a socket that the
// test holds too, and its board is read by the test, as a master would.
type fixture struct {
	*process
	view   scoreboard.View
	addr   string
	served chan error
}

// start serves srv with keepalive as a worker that inherited the socket.
func start(t testing.TB, srv *http.Server, keepAlive time.Duration, held *net.TCPListener) *fixture {
	t.Helper()
	return startAs(t, srv, inheritance{keepAlive: keepAlive}, held)
}

// timeouts are the limits of a test.
type timeouts = scoreboard.Limits

// startLimited serves srv with limits on requests.
func startLimited(t testing.TB, h http.HandlerFunc, limits timeouts) *fixture {
	t.Helper()
	return startAs(t, quiet(h), inheritance{keepAlive: forever, limits: limits}, hold(t))
}

func startAs(t testing.TB, srv *http.Server, in inheritance, held *net.TCPListener) *fixture {
	t.Helper()
	memory, err := scoreboard.Create()
	if err != nil {
		t.Fatal(err)
	}
	board, err := scoreboard.Open(int(memory.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	board.WriteHeader(os.Getpid())
	in.supervised, in.board = true, board
	p := newProcess(in, nil)
	p.watching.Do(func() {}) // signals are the test binary's
	f := &fixture{process: p, view: memory.View(), addr: held.Addr().String(), served: make(chan error, 1)}
	l, err := p.newListener(share(t, held), 0)
	if err != nil {
		t.Fatal(err)
	}
	listeners := []*listener{l}
	p.register(listeners)
	go func() { f.served <- p.serveOn(srv, listeners) }()
	t.Cleanup(func() {
		f.drain()
		srv.Close()
		memory.Close()
	})
	return f
}

// hold makes a socket like those that a master holds.
func hold(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// share returns another descriptor of the same socket, as a worker inherits it.
func share(t testing.TB, held *net.TCPListener) *net.TCPListener {
	t.Helper()
	file, err := held.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	return l.(*net.TCPListener)
}

// awaitServed waits for Serve to return, and expects that it does so after a drain.
func (f *fixture) awaitServed(t testing.TB) {
	t.Helper()
	if err := await(t, f.served); err != nil {
		t.Fatalf("Serve returns %v, want nil", err)
	}
}

// await receives from a channel.
func await[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(forever):
		t.Fatal("nothing happens")
		panic("unreachable")
	}
}

// until waits for a condition that nobody announces.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(forever); !condition(); time.Sleep(time.Millisecond) { // between two looks
		if time.Now().After(end) {
			t.Fatalf("%s: never happens", what)
		}
	}
}

// late is how late a busy machine may make something that has a time of its own.
const late = 5 * time.Second

// within measures until it finds what is between two times, five times at most: that
// something comes late may be the fault of the machine, that it comes early is not.
func within(t *testing.T, least, most time.Duration, measure func() time.Duration) {
	t.Helper()
	for range 5 {
		d := measure()
		if d < least {
			t.Errorf("after %v, want at least %v", d, least)
		}
		if d <= most {
			return
		}
		t.Logf("after %v, want %v to %v", d, least, most)
	}
	t.Errorf("always later than %v", most)
}

// rest is what a handler or a client does in between that has to be slow.
func rest(d time.Duration) { time.Sleep(d) } // being slow is all that is asked for

// A client is one connection that speaks HTTP/1.1 by hand, so that nothing is ever
// sent twice.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	c, err := connect("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func connect(network, addr string) (*client, error) {
	conn, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(forever))
	return &client{conn, bufio.NewReader(conn)}, nil
}

func (c *client) send(path string) error {
	_, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: test\r\n\r\n")
	return err
}

// receive reads one whole answer; its body can be read from memory.
func (c *client) receive() (*http.Response, error) {
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, err
}

func (c *client) get(path string) (*http.Response, error) {
	if err := c.send(path); err != nil {
		return nil, err
	}
	return c.receive()
}

// mustGet expects an answer of status 200.
func (c *client) mustGet(t testing.TB, path string) *http.Response {
	t.Helper()
	res, err := c.get(path)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", path, res.Status)
	}
	return res
}

// awaitEOF expects the server to close the connection without another word.
func (c *client) awaitEOF(t testing.TB) {
	t.Helper()
	if b, err := c.r.ReadByte(); err != io.EOF {
		t.Fatalf("got %q, %v, want end of file", b, err)
	}
}

func ok(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }
