//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const classProxy = `worker_class = "proxy"`

// proxied is a command that serves testdata/proxied with uvicorn.
func proxied(t *testing.T, options ...string) string {
	return command(append([]string{filepath.Join(pythonVenv(t), "bin", "uvicorn"), "app:app", "--app-dir", proxiedDir(t), "--log-level", "warning"}, options...)...)
}

func proxiedDir(t *testing.T) string {
	t.Helper()
	return absolute(t, "testdata/proxied")
}

// granian returns the path of a real granian, which cannot inherit a socket.
func granian(t *testing.T) string {
	return filepath.Join(virtual(t, "TEST_GRANIAN", "granian", []string{"granian"}, "granian"), "bin", "granian")
}

// portServers are servers that know nothing but a port, or a path.
var portServers = []struct {
	name  string
	lines func(t *testing.T) []string
}{
	{"uvicorn", func(t *testing.T) []string { return []string{proxied(t, "--port", "{port}")} }},
	{"granian", func(t *testing.T) []string {
		return []string{command(granian(t), "--interface", "asgi", "--working-dir", proxiedDir(t), "--log-level", "warning", "--port", "{port}", "app:app")}
	}},
	{"node", func(t *testing.T) []string {
		return []string{command(need(t, "node"), filepath.Join(proxiedDir(t), "server.js"))}
	}},
	{"uvicorn on a socket", func(t *testing.T) []string {
		return []string{proxied(t, "--uds", "{socket}"), `proxy = { to = "unix", ready_path = "/" }`}
	}},
	{"node on localhost, by IPv6", func(t *testing.T) []string {
		l, err := net.Listen("tcp", "[::1]:0")
		if err != nil {
			t.Skip(err)
		}
		l.Close()
		return []string{command(need(t, "node"), "-e", "require('http').createServer((q, r) => r.end('hello from behind\\n')).listen(process.env.PORT, '::1')")}
	}},
	{"uvicorn in a variable", func(t *testing.T) []string { return []string{proxied(t), `env = { UVICORN_PORT = "{port}" }`} }},
}

// Each serves, is replaced while requests come, and stops.
func TestProxiedServers(t *testing.T) {
	t.Parallel()
	for _, tc := range portServers {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := up(t, append(tc.lines(t), classProxy)...)
			for _, e := range m.count(t, 2, 0, "worker ready", nil) {
				if e.str("cooperating") != "true" {
					t.Errorf("the front is taken for a plain worker: %s", e.line)
				}
			}
			if answer, body, err := m.get("/"); err != nil || body != "hello from behind\n" {
				t.Fatalf("answer %v %q, %v", answer, body, err)
			}
			reloadOnce(t, m)
			m.signal(syscall.SIGTERM)
			if code := m.end(); code != 0 {
				t.Errorf("exit status %d", code)
			}
			m.gone(0)
		})
	}
}

// The program's own shutdown, which loses what is on its connections, is no client's.
func TestProxyReloadsLoseNothing(t *testing.T) {
	for _, tc := range portServers[:3] {
		t.Run(tc.name, func(t *testing.T) {
			m := up(t, append(tc.lines(t), classProxy)...)
			under(t, m, 6*time.Second, 0, func(*running) { m.reload() })
		})
	}
}

// behind is the program of a front.
func behind(t *testing.T, front int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", front, front))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatalf("front %d has the children %q", front, text)
	}
	return pid
}

// The program is told who asks.
func TestProxyForwards(t *testing.T) {
	t.Parallel()
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 1")
	_, body, err := m.get("/headers")
	var got map[string]string
	if err == nil {
		err = json.Unmarshal([]byte(body), &got)
	}
	if err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	for name, want := range map[string]string{"host": "worker", "x-forwarded-for": "127.0.0.1", "x-forwarded-host": "worker", "x-forwarded-proto": "http"} {
		if got[name] != want {
			t.Errorf("%s: %q, not %q", name, got[name], want)
		}
	}
	if got["x-request-id"] == "" {
		t.Error("the request has no id")
	}
	front := m.workers()[0]
	program := behind(t, front)
	if status(program)["NSpgid"] != status(front)["NSpgid"] {
		t.Error("the program is in another process group")
	}
	for fd := range 100 {
		if target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", program, fd)); strings.Contains(target, "memfd:gosuper") {
			t.Errorf("the program has inherited descriptor %d, %s", fd, target)
		}
	}
}

// A front is small. How much it takes depends on when its garbage was collected and which
// pages of its file were there too, so the smallest of three counts.
func TestProxyFrontIsSmall(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 1")
	// The second is what it would take if no other process had the same binary mapped.
	limits := map[string]int{"Pss:": 15 << 10, "Rss:": 15<<10 + 512}
	least := map[string]int{}
	for range 3 {
		if _, _, err := m.get("/headers"); err != nil {
			t.Fatal(err)
		}
		front := m.workers()[0]
		for kind := range limits {
			if kib := memory(t, front, kind); least[kind] == 0 || kib < least[kind] {
				least[kind] = kib
			}
		}
		m.reload()
		m.wait(t, 0, "worker gone", match{"pid": front})
	}
	for kind, most := range limits {
		if least[kind] > most {
			t.Errorf("a front takes %d KiB, %s", least[kind], kind)
		}
	}
}

// memory is the memory of a process in KiB, of a kind as smaps_rollup names it.
func memory(t *testing.T, pid int, kind string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); fields[0] == kind {
			n, _ := strconv.Atoi(fields[1])
			return n
		}
	}
	return 0
}

// A program that does not answer in time costs its client that time, whether it sleeps
// or blocks, and the other requests nothing; one that blocks is replaced.
func TestProxyLimits(t *testing.T) {
	t.Parallel()
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 1", `timeout = "1s"`, `stream_timeout = "20s"`, admin("127.0.0.1:0"))
	stream, err := http.Get("http://" + m.addr() + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	if !lines.Scan() {
		t.Fatal(lines.Err())
	}
	expect := func(path string) {
		t.Helper()
		begin := time.Now()
		answer, _, err := m.get(path)
		if took := time.Since(begin); err != nil || answer.StatusCode != http.StatusGatewayTimeout || took < time.Second || took > 10*time.Second {
			t.Errorf("%s: %v, %v after %v", path, answer, err, took)
		} else {
			t.Logf("%s: 504 after %v", path, took)
		}
	}
	expect("/sleep")
	for range 20 {
		if !lines.Scan() {
			t.Fatalf("the stream beside it ended: %v", lines.Err())
		}
	}
	// What follows is to be the only one that the program owes an answer.
	m.inFlight(1)
	from := m.mark()
	expect("/block")
	stuck := m.wait(t, from, "worker is stuck: a request does not end", nil)
	if path := stuck.str("path"); path != "/block" {
		t.Errorf("the request that does not end is %s", path)
	}
	m.wait(t, from, "worker ready", nil)
	if _, body, err := m.get("/"); err != nil || body != "hello from behind\n" {
		t.Errorf("%q, %v", body, err)
	}
}

// holding has the program hold a request, and returns where the status of its answer will
// be; 0: it had none.
func holding(m *master) <-chan int {
	held := make(chan int, 1)
	go func() {
		answer, _, err := m.get("/sleep")
		if err != nil {
			held <- 0
			return
		}
		held <- answer.StatusCode
	}()
	m.inFlight(1)
	return held
}

// The end of the program is that of its worker: requests it held have 502, and a new one
// takes over. The end of the front is the program's.
func TestProxyDeath(t *testing.T) {
	t.Parallel()
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 1", admin("127.0.0.1:0"))
	held := holding(m)
	begin := time.Now()
	if answer, _, err := m.get("/exit"); err != nil || answer.StatusCode != http.StatusBadGateway {
		t.Errorf("the request that ended the program: %v, %v", answer, err)
	}
	if status := <-held; status != http.StatusBadGateway {
		t.Errorf("the request beside it: %d", status)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("answers after %v", took)
	}
	crash := m.wait(t, 0, "worker crashed", nil)
	if crash.str("status") != "exit status 3" {
		t.Errorf("status %q", crash.str("status"))
	}
	m.count(t, 2, 0, "worker ready", nil)
	from := m.mark()
	m.get("/kill")
	if crash = m.wait(t, from, "worker crashed", nil); !strings.Contains(crash.str("status"), "SIGSEGV") {
		t.Errorf("status %q", crash.str("status"))
	}
	m.count(t, 3, 0, "worker ready", nil)
	front := m.workers()[0]
	program := behind(t, front)
	if err := syscall.Kill(front, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the program goes with its front", func() bool { return syscall.Kill(program, 0) == syscall.ESRCH })
}

// A program that cannot be served says why, in the words of what went wrong.
func TestProxyMistakes(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	taken.Close()
	for _, tc := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"ends at once", []string{command("sh", "-c", "echo no such model >&2; exit 7")}, []string{"exit status 7", "no such model", "the program ended before it was ready: exit status 7"}},
		{"is not there", []string{command("/usr/bin/env", "gosuper-no-such-program")}, []string{"exit status 127"}},
		{"listens elsewhere", []string{proxied(t, "--port", elsewhere)}, []string{"does not accept on 127.0.0.1:", "it listens on 127.0.0.1:" + elsewhere, "{port}"}},
		{"is never ready", []string{proxied(t, "--port", "{port}"), `proxy.ready_path = "/broken"`}, []string{"ready_path /broken answers 500"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := start(t, launch{config: config(append(tc.lines, classProxy, "workers = 1", `startup_timeout = "6s"`, "restart.startup_attempts = 1")...)})
			if code := m.end(); code != 3 {
				t.Errorf("exit status %d", code)
			}
			for _, want := range tc.want {
				if !strings.Contains(m.String(), want) {
					t.Errorf("nothing says %q", want)
				}
			}
		})
	}
}

// The example runs as it stands, on another port.
func TestProxyExample(t *testing.T) {
	t.Parallel()
	path := absolute(t, examples+"/proxy")
	file := replace(t, read(t, examples+"/proxy/supervisor.toml"), "127.0.0.1:8000", "127.0.0.1:0")
	m := start(t, launch{config: fmt.Sprintf("chdir = %q\n", path) + replace(t, file, `"granian"`, fmt.Sprintf("%q", granian(t)))})
	m.wait(t, 0, "ready", nil)
	answer, body, err := m.get("/stream")
	if err != nil || answer.StatusCode != http.StatusOK || body != "data: one\n\ndata: two\n\ndata: three\n\ndata: done\n\n" {
		t.Errorf("%v %q, %v", answer, body, err)
	}
	m.reload()
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
