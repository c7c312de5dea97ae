//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// forever is the cap on waiting for what must happen.
const forever = 30 * time.Second

// binary is the program, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "agent-server")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "agent-server")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	err = build.Run()
	code := 1
	if err == nil {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// A program is the real one, running alone on a unix socket.
type program struct {
	*exec.Cmd
	path   string
	client *http.Client
	stderr bytes.Buffer // readable after exited
	exited chan error
}

func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	p := &program{
		Cmd:    exec.Command(binary, append([]string{"-addr", "unix:" + path}, args...)...),
		path:   path,
		exited: make(chan error, 1),
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	p.client = &http.Client{Transport: transport, Timeout: forever}
	p.Env = append(os.Environ(), env...)
	p.Stderr = &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		p.exited <- p.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		p.Process.Kill()
		<-done
	})
	for end := time.Now().Add(forever); ; time.Sleep(time.Millisecond) { // between two tries
		if conn, err := net.Dial("unix", path); err == nil {
			conn.Close()
			return p
		}
		if time.Now().After(end) {
			t.Fatal("does not listen")
		}
	}
}

// do sends a request and returns the answer with its whole body, and checks what
// every answer has.
func (p *program) do(t *testing.T, method, path, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://agent"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if pid := res.Header.Get("X-Worker-Pid"); pid != fmt.Sprint(p.Process.Pid) {
		t.Errorf("%s %s: X-Worker-Pid: %q, want %d", method, path, pid, p.Process.Pid)
	}
	return res, string(text)
}

// stop asks the program to end and expects that it does so well.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.awaitExit(t, 0)
}

func (p *program) awaitExit(t *testing.T, code int) {
	t.Helper()
	select {
	case err := <-p.exited:
		if got := p.ProcessState.ExitCode(); got != code {
			t.Errorf("ends with %v (%v), want status %d; wrote:\n%s", got, err, code, &p.stderr)
		}
	case <-time.After(forever):
		t.Fatal("does not end")
	}
}

func TestAnswer(t *testing.T) {
	p := start(t, nil)
	ask := func(prompt string) string {
		res, body := p.do(t, "POST", "/agent", fmt.Sprintf(`{"prompt":%q}`, prompt))
		var out struct{ Answer string }
		if err := json.Unmarshal([]byte(body), &out); err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %s", res.Status, body)
		}
		return out.Answer
	}
	one, again, other := ask("one"), ask("one"), ask("other")
	if one != again || one == other || len(strings.Fields(one)) != 20 {
		t.Errorf("answers %q, %q and %q", one, again, other)
	}
	for _, path := range []string{"/health", "/health/ready"} {
		if res, body := p.do(t, "GET", path, ""); res.StatusCode != 200 {
			t.Errorf("%s: %s %s", path, res.Status, body)
		}
	}
	p.client.CloseIdleConnections()
	p.stop(t)
}

func TestBadInput(t *testing.T) {
	p := start(t, nil, "-debug")
	tests := []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/agent", "", 400},
		{"POST", "/agent", "{", 400},
		{"POST", "/agent", `"prompt"`, 400},
		{"POST", "/agent", `{"prompt":1}`, 400},
		{"POST", "/agent", `{}`, 400},
		{"POST", "/agent", `{"prompt":" "}`, 400},
		{"POST", "/agent", `{"prompt":"` + strings.Repeat("x", maxPrompt+1) + `"}`, 400},
		{"POST", "/agent", `{"prompt":"` + strings.Repeat("x", 10*maxBody) + `"}`, 400},
		{"POST", "/agent", `{"prompt":"x","tokens":0}`, 400},
		{"POST", "/agent", `{"prompt":"x","delay":"soon"}`, 400},
		{"GET", "/agent", "", 405},
		{"GET", "/nothing", "", 404},
		{"GET", "/agent/stream", "", 400},
		{"GET", "/agent/stream?prompt=x&tokens=many", "", 400},
		{"GET", "/agent/stream?prompt=x&tokens=-1", "", 400},
		{"GET", "/agent/stream?prompt=x&tokens=1001", "", 400},
		{"GET", "/agent/stream?prompt=x&delay=-1s", "", 400},
		{"GET", "/agent/stream?prompt=x&delay=1h", "", 400},
		{"GET", "/debug/sleep", "", 400},
		{"GET", "/debug/spin?d=forever", "", 400},
		{"GET", "/debug/leak?mb=-1", "", 400},
		{"GET", "/debug/exit?code=256", "", 400},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s %.30s", tt.method, tt.path, tt.body), func(t *testing.T) {
			res, body := p.do(t, tt.method, tt.path, tt.body)
			if res.StatusCode != tt.status {
				t.Errorf("%s, want %d: %s", res.Status, tt.status, body)
			}
			var out struct{ Error string }
			if tt.status == 400 && (json.Unmarshal([]byte(body), &out) != nil || out.Error == "") {
				t.Errorf("the body does not say why: %q", body)
			}
		})
	}
}

func TestDebug(t *testing.T) {
	without := start(t, nil)
	if res, _ := without.do(t, "GET", "/debug/pid", ""); res.StatusCode != 404 {
		t.Errorf("/debug/ without -debug: %s", res.Status)
	}
	p := start(t, nil, "-debug")
	for path, want := range map[string]string{
		"/debug/pid":          fmt.Sprintf("%d\n", p.Process.Pid),
		"/debug/sleep?d=10ms": "slept 10ms\n",
		"/debug/spin?d=10ms":  "spun 10ms\n",
		"/debug/leak?mb=2":    "leaked 2 MiB\n",
	} {
		if res, body := p.do(t, "GET", path, ""); res.StatusCode != 200 || body != want {
			t.Errorf("%s: %s %q, want %q", path, res.Status, body, want)
		}
	}
	if _, err := p.client.Get("http://agent/debug/exit?code=7"); err == nil {
		t.Error("/debug/exit answers")
	}
	p.awaitExit(t, 7)
}

func TestUsage(t *testing.T) {
	out, err := exec.Command(binary, "positional").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.HasPrefix(string(out), "agent-server: error: ") {
		t.Errorf("%v: %s", err, out)
	}
}

// events reads server-sent events as "name data".
func events(t *testing.T, body io.Reader) func() string {
	lines := bufio.NewScanner(body)
	return func() string {
		t.Helper()
		name := ""
		for lines.Scan() {
			if after, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = after
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return name + " " + data
			}
		}
		if lines.Err() != nil {
			t.Fatalf("the stream does not end well: %v", lines.Err())
		}
		return "end"
	}
}

func TestStream(t *testing.T) {
	p := start(t, nil)
	res, body := p.do(t, "GET", "/agent/stream?prompt=hello&tokens=3&delay=1ms", "")
	if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("Content-Type: %s", kind)
	}
	next := events(t, strings.NewReader(body))
	for range 3 {
		if event := next(); !strings.HasPrefix(event, `token {"text":"`) {
			t.Errorf("event %s, want a token", event)
		}
	}
	if event := next(); event != `done {"tokens":3}` {
		t.Errorf("event %s, want done", event)
	}
	if event := next(); event != "end" {
		t.Errorf("event %s after done", event)
	}
}

// connection is one that is kept and used by hand.
type connection struct{ net.Conn }

func (c *connection) get(path string) (string, error) {
	c.SetDeadline(time.Now().Add(forever))
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: agent\r\n\r\n", path); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return fmt.Sprintf("%s %s %s", res.Proto, res.Status, text), err
}

// TestDrain has a slow stream, a slow answer and an idle connection when the
// program is asked to end.
func TestDrain(t *testing.T) {
	p := start(t, nil)
	idle := &connection{}
	var err error
	if idle.Conn, err = net.Dial("unix", p.path); err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if body, err := idle.get("/health"); err != nil || !strings.HasPrefix(body, "HTTP/1.1 200") {
		t.Fatalf("/health: %v, %s", err, body)
	}
	res, err := p.client.Get("http://agent/agent/stream?prompt=x&delay=10s&tokens=1000")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answered, written := make(chan error, 1), make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { close(written) },
	})
	req, err := http.NewRequestWithContext(ctx, "POST", "http://agent/agent",
		strings.NewReader(`{"prompt":"x","tokens":4,"delay":"200ms"}`))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		res, err := p.client.Do(req)
		if err == nil {
			defer res.Body.Close()
			if res.StatusCode != 200 {
				err = errors.New(res.Status)
			}
		}
		answered <- err
	}()
	<-written
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if event := events(t, res.Body)(); event != `error {"error":"Server shutting down"}` {
		t.Errorf("event %s, want the error", event)
	}
	// The connection that was idle is kept for another while.
	if body, err := idle.get("/health/ready"); err != nil || !strings.HasPrefix(body, "HTTP/1.1 503") {
		t.Errorf("/health/ready while draining: %v, %s", err, body)
	}
	if err := <-answered; err != nil {
		t.Errorf("the answer in flight: %v", err)
	}
	p.client.CloseIdleConnections()
	p.awaitExit(t, 0)
}
