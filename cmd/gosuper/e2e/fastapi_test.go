//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// deployment is the FastAPI example as its files have it, with its small endpoint and
// nginx.
type deployment struct {
	*master
	front  string      // nginx's socket
	broken atomic.Bool // the endpoint answers nothing but errors
}

// deploy starts the example with changes to its supervisor.toml, old text and new, and
// variables.
func deploy(t *testing.T, env []string, changes ...string) *deployment {
	t.Helper()
	folder := absolute(t, examples+"/fastapi")
	source := absolute(t, pythonPackage+"/src")
	python := filepath.Join(required(t, "TEST_FASTAPI", folder, "uvicorn"), "bin", "python")
	common := []string{"PYTHONPATH=" + source, "PYTHONDONTWRITEBYTECODE=1"}

	d := new(deployment)
	proxy := httputil.NewSingleHostReverseProxy(startEndpoint(t, python, append(common, "TOKEN_SECONDS=0.05")))
	between := serveHandler(t, func(w http.ResponseWriter, r *http.Request) {
		if d.broken.Load() {
			http.Error(w, "overloaded", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	})

	file := read(t, examples+"/fastapi/supervisor.toml")
	for _, change := range append([][2]string{
		{`"python"`, fmt.Sprintf("%q", python)},
		{"127.0.0.1:8000", "127.0.0.1:0"},
		{`workers = "auto"`, "workers = 2"},
	}, pairs(changes)...) {
		file = replace(t, file, change[0], change[1])
	}
	d.master = start(t, launch{
		config: fmt.Sprintf("chdir = %q\ncontrol.socket = \"off\"\n%s", folder, file),
		env: append(append(common, "DATABASE_URL=sqlite+aiosqlite:///"+filepath.Join(t.TempDir(), "agent.db"),
			"OPENAI_BASE_URL="+between+"/v1", "MODEL_MIB=16", "MODEL_SECONDS=0"), env...),
	})
	d.wait(t, 0, "ready", nil)
	d.front = startNginx(t, open(t), replace(t, read(t, examples+"/fastapi/nginx.conf"), "agent:8000", d.addr()))
	return d
}

// serveHandler serves in this process until the test ends, and returns the URL. It is not
// httptest's server: when that closes, it has [http.DefaultTransport] close the idle
// connections of the whole process, and now and then one that has just been taken into
// use is among them, so that one test ends the request of another.
func serveHandler(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return "http://" + listener.Addr().String()
}

// startEndpoint starts the example's endpoint.
func startEndpoint(t *testing.T, python string, env []string) *url.URL {
	t.Helper()
	address := freePort(t)
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command(python, "-m", "gosuper", "endpoint:app", "--port", port, "--log-level", "warning")
	cmd.Dir, cmd.Env = examples+"/fastapi", append(cleanEnviron(), env...)
	daemon(t, cmd, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return &url.URL{Scheme: "http", Host: address}
}

func pairs(words []string) (all [][2]string) {
	for i := 0; i+1 < len(words); i += 2 {
		all = append(all, [2]string{words[i], words[i+1]})
	}
	return all
}

// asks is a plan of clients that ask the agent.
func (d *deployment) asks(clients int) load.Plan {
	return load.Plan{Network: "unix", Addr: d.front, Connections: clients, Mode: load.KeepAlive, Method: http.MethodPost, Path: "/agent", Body: `{"prompt":"hello there"}`, Pause: 10 * time.Millisecond}
}

// stream opens a stream of so many tokens.
func (d *deployment) stream(tokens int) *bufio.Scanner {
	d.t.Helper()
	return openStream(d.t, clientOf(d.front), fmt.Sprintf("http://agent/agent/stream?prompt=hi&tokens=%d", tokens))
}

// openStream asks for a stream, and returns its lines when its first token has come.
func openStream(t testing.TB, client *http.Client, url string) *bufio.Scanner {
	t.Helper()
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	lines := bufio.NewScanner(answer.Body)
	if !lines.Scan() || lines.Text() != "event: token" {
		t.Fatalf("%s, the stream begins with %q, %v", answer.Status, lines.Text(), lines.Err())
	}
	return lines
}

// rest reads a stream to its end, which must be a clean one, and returns how many
// tokens came and its last event.
func rest(t *testing.T, lines *bufio.Scanner) (tokens int, last string) {
	t.Helper()
	for lines.Scan() {
		switch name, found := strings.CutPrefix(lines.Text(), "event: "); {
		case found && name == "token":
			tokens++
		case found:
			last = name
		case last != "" && lines.Text() != "":
			last += " " + lines.Text()
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream was cut: %v", err)
	}
	return tokens, last
}

// The example does what its README says, by the settings that it comes with.
func TestFastAPI(t *testing.T) {
	t.Parallel()
	d := deploy(t, nil)
	for _, e := range d.count(t, 2, 0, "worker ready", nil) {
		if e.str("cooperating") != "true" {
			t.Errorf("a plain worker: %s", e.line)
		}
	}

	checks := func(want int) map[string]string {
		t.Helper()
		answer, body, err := d.get("/health/ready")
		var said struct{ Checks map[string]string }
		if err == nil {
			err = json.Unmarshal([]byte(body), &said)
		}
		if err != nil || answer.StatusCode != want {
			t.Fatalf("/health/ready: %v, want %d: %s", err, want, body)
		}
		return said.Checks
	}
	if said := checks(http.StatusOK); said["database"] != "ok" || said["model"] != "ok" {
		t.Errorf("ready: %v", said)
	}
	if tokens, last := rest(t, d.stream(20)); tokens != 19 || !strings.HasPrefix(last, "done data: {") {
		t.Errorf("after its first token a stream of 20 has %d, and ends with %q", tokens, last)
	}

	// A reload under load: nothing is lost, and a stream that would take long is told.
	r := d.load(d.asks(8))
	long := d.stream(1000)
	begin := time.Now()
	d.reload()
	_, last := rest(t, long)
	t.Logf("the long stream ended %v after the reload was asked for", time.Since(begin))
	if !strings.Contains(last, "error data: {") || !strings.Contains(last, "Server shutting down") {
		t.Errorf("the stream ends with %q", last)
	}
	r.more(50)
	none(t, "a reload", r.end(), 100)

	d.broken.Store(true)
	if said := checks(http.StatusServiceUnavailable); said["database"] != "ok" || !strings.Contains(said["model"], "503") {
		t.Errorf("without its endpoint: %v", said)
	}
	if answer, body, err := d.get("/health"); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("/health: %s %v", body, err)
	}
	d.signal(syscall.SIGTERM)
	if code := d.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// What leaks is replaced before it hurts, and nobody notices.
func TestFastAPILeaks(t *testing.T) {
	t.Parallel()
	d := deploy(t, []string{"LEAK_KIB=8192"}, `"512MiB"`, `"220MiB"`)
	r := d.load(d.asks(4))
	d.count(t, 2, 0, "worker draining", match{"reason": "memory"})
	r.more(20)
	none(t, "leaks", r.end(), 40)
	if n := len(d.all(0, "killing worker", nil)); n > 0 {
		t.Errorf("%d workers were killed", n)
	}
}
