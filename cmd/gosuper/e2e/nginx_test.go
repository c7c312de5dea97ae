//go:build linux

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// Between nginx and the workers no request is lost, by the example's settings,
// over TCP and over a unix socket that nginx may use by its group alone.
func TestNginxReloads(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			m, front := behindNginx(t, network)
			for _, plan := range []load.Plan{
				{Connections: 8, Mode: load.NewConnection, Path: "/health"},
				// A POST is what nginx never sends again by itself.
				{Connections: 8, Mode: load.KeepAlive, Method: http.MethodPost, Path: "/agent", Body: `{"prompt":"hello"}`},
				{Connections: 32, Mode: load.KeepAlive, Method: http.MethodPost, Path: "/agent", Body: `{"prompt":"hello"}`, Pause: 150 * time.Millisecond},
			} {
				plan.Network, plan.Addr = "unix", front
				before := m.workers()
				r := m.load(plan)
				m.reload()
				r.more(20)
				none(t, fmt.Sprintf("%v, pause %v", plan.Mode, plan.Pause), r.end(), 40)
				for slot, pid := range m.workers() {
					if before[slot] == pid {
						t.Errorf("slot %d was not reloaded", slot)
					}
				}
			}
		})
	}
}

// Tokens reach the client as the worker sends them, not by the buffer.
func TestNginxStreams(t *testing.T) {
	t.Parallel()
	_, front := behindNginx(t, "tcp")
	begin := time.Now()
	// Had nginx buffers for it, they would be full after half a minute.
	answer, err := clientOf(front).Get("http://nginx/agent/stream?prompt=hello&tokens=1000&delay=300ms")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.Header.Get("Content-Type") != "text/event-stream" || answer.Header.Get("X-Request-Id") == "" {
		t.Errorf("%s: %v", answer.Status, answer.Header)
	}
	lines := bufio.NewScanner(answer.Body)
	for n := 0; n < 3; {
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		if strings.HasPrefix(lines.Text(), "event: token") {
			n++
			t.Logf("token %d after %v", n, time.Since(begin))
		}
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("three tokens took %v", took)
	}
}

// The 504 of a worker is the client's answer, named as nginx names the request.
func TestNginxPassesTimeouts(t *testing.T) {
	t.Parallel()
	access := filepath.Join(t.TempDir(), "access.log")
	m, front := behindNginx(t, "unix", "-t", "1s", "--access-logfile", access)
	answer, err := clientOf(front).Get("http://nginx/debug/sleep?d=1m")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	_, direct, _ := m.get("/debug/sleep?d=1m")
	if err != nil || answer.StatusCode != http.StatusGatewayTimeout || string(body) != direct || answer.Header.Get("Retry-After") == "" {
		t.Errorf("%s, Retry-After %q, %q, %v; without nginx %q", answer.Status, answer.Header.Get("Retry-After"), body, err, direct)
	}
	id := answer.Header.Get("X-Request-Id")
	eventually(t, "the request in the access log", func() bool {
		text, _ := os.ReadFile(access)
		return id != "" && strings.Contains(string(text), id)
	})
}

// behindNginx starts a master with the agent as the example has it, more
// arguments, and nginx in front. It returns the path of nginx's socket.
func behindNginx(t *testing.T, network string, args ...string) (m *master, front string) {
	t.Helper()
	need(t, "nginx")
	dir := open(t)
	const server, unixServer = "server 127.0.0.1:8000;", "# server unix:/run/agent/http.sock;"
	file := replace(t, read(t, examples+"/nginx/supervisor.toml"), `["./agent-server"]`, fmt.Sprintf("[%q, \"-debug\"]", agent))
	if network == "unix" {
		bind := "unix:" + filepath.Join(dir, "http.sock")
		file = replace(t, file, `bind = ["127.0.0.1:8000"]`, "")
		file = replace(t, file, `# bind = ["unix:/run/agent/http.sock"]`, fmt.Sprintf("bind = [%q]", bind))
		if os.Getuid() == 0 {
			file = "umask = \"007\"\ngroup = \"65534\"\n" + file
		}
	} else {
		file = replace(t, file, "127.0.0.1:8000", "127.0.0.1:0")
	}
	m = start(t, launch{config: file, args: args})
	m.wait(t, 0, "ready", nil)

	site := read(t, examples+"/nginx/agent.conf")
	if network == "unix" {
		site = replace(t, site, server, "")
		site = replace(t, site, unixServer, "server unix:"+m.addr()+";")
	} else {
		site = replace(t, site, server, "server "+m.addr()+";")
	}
	return m, startNginx(t, dir, site)
}

// open returns a folder that everybody may enter, nginx's user for one.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gosuper-open")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startNginx starts nginx with a site on port 80, for which it returns the path of a
// socket in the folder.
func startNginx(t *testing.T, dir, site string) (front string) {
	t.Helper()
	front = filepath.Join(dir, "nginx.sock")
	site = replace(t, site, "listen 80;", "listen unix:"+front+";")
	main := "daemon off; pid nginx.pid; worker_processes 2; error_log stderr;\nevents {}\nhttp {\naccess_log off;\n"
	if os.Getuid() == 0 {
		main = "user nobody nogroup;\n" + main
	}
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		main += fmt.Sprintf("%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	for name, text := range map[string]string{"agent.conf": site, "nginx.conf": main + "include agent.conf;\n}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(need(t, "nginx"), "-e", "stderr", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	t.Cleanup(func() {
		if complaints.Len() > 0 {
			t.Errorf("nginx says\n%s", &complaints)
		}
	})
	daemon(t, cmd, func() bool { return listens(front) })
	return front
}

// clientOf returns a client of a server at a unix socket.
func clientOf(path string) *http.Client {
	return &http.Client{Timeout: testTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
}

// absolute returns the absolute path of a file that is named from the folder of these
// tests.
func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// replace changes the one place where a text has old.
func replace(t *testing.T, text, old, by string) string {
	t.Helper()
	if n := strings.Count(text, old); n != 1 {
		t.Fatalf("%q is there %d times, want once, in\n%s", old, n, text)
	}
	return strings.Replace(text, old, by, 1)
}
