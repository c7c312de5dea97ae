//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// Servers that know nothing of gosuper are started, answer, are reloaded and
// stopped, and leave nothing behind.
func TestForeignServers(t *testing.T) {
	t.Parallel()
	foreign := absolute(t, "testdata/foreign")
	for _, tc := range []struct {
		name    string
		command func(t *testing.T) []string
		answer  string
	}{
		{"uvicorn", func(t *testing.T) []string {
			return []string{uvicorn(t), "app:app", "--app-dir", foreign, "--fd", "3", "--log-level", "warning"}
		}, "hello from uvicorn\n"},
		{"node", func(t *testing.T) []string { return []string{need(t, "node"), filepath.Join(foreign, "server.js")} }, "hello from node\n"},
		{"hypercorn", func(t *testing.T) []string {
			return []string{hypercorn(t), "-b", "fd://3", "--root-path", "", foreign + "/app:app"}
		}, "hello from uvicorn\n"},
		{"gunicorn", func(t *testing.T) []string {
			return []string{filepath.Join(venv(t), "bin", "gunicorn"), "--chdir", foreign, "--no-control-socket", "wsgi:app"}
		}, "hello from wsgi\n"},
		{"go", func(*testing.T) []string { return []string{plain} }, "plain\n"},
		{"go by LISTEN_FDS", func(t *testing.T) []string {
			return []string{built(t, "go", "build", "-o", "OUT", "./testdata/activated")}
		}, "activated\n"},
		{"rust by LISTEN_FDS", func(t *testing.T) []string {
			return []string{built(t, need(t, "rustc"), "-o", "OUT", foreign+"/server.rs")}
		}, "hello from rust\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			words := tc.command(t)
			m := up(t, command(words...))
			for _, e := range m.count(t, 2, 0, "worker ready", nil) {
				if e.str("cooperating") != "false" {
					t.Errorf("a plain worker is taken for a cooperating one: %s", e.line)
				}
			}
			if _, body, err := m.get("/"); err != nil || body != tc.answer {
				t.Errorf("answer %q, %v", body, err)
			}
			before := m.workers()
			r := m.load(load.Plan{Connections: 2, Pause: 5 * time.Millisecond})
			m.reload()
			r.more(20)
			result := r.end()
			t.Logf("a reload under load: %v", result)
			if result.Lost[load.Dial] > 0 {
				t.Errorf("%d connections were refused", result.Lost[load.Dial])
			}
			for slot, pid := range m.workers() {
				if before[slot] == pid {
					t.Errorf("slot %d was not reloaded", slot)
				}
			}
			begin := time.Now()
			m.signal(syscall.SIGTERM)
			if code := m.end(); code != 0 {
				t.Errorf("exit status %d", code)
			}
			t.Logf("stopped after %v", time.Since(begin))
			m.gone(0)
		})
	}
}

// built runs a compiler, for which OUT is a file in a fresh folder, and returns that.
func built(t *testing.T, words ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "server")
	for i, word := range words {
		words[i] = strings.ReplaceAll(word, "OUT", out)
	}
	if said, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", words, err, said)
	}
	return out
}

// nginx takes over sockets from a predecessor that it believes to have by a variable of
// its own, those that its configuration names.
func TestForeignNginx(t *testing.T) {
	t.Parallel()
	nginx := need(t, "nginx")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir := open(t)
	site := "daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		site += fmt.Sprintf("%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	site += fmt.Sprintf("server {\nlisten %s;\nlocation / { return 200 \"hello from nginx\\n\"; }\n}\n}\n", addr)
	file := filepath.Join(dir, "nginx.conf")
	put(t, file, []byte(site))
	m := up(t, command(nginx, "-e", "stderr", "-p", dir, "-c", file), fmt.Sprintf("bind = [%q]", addr), `env = { NGINX = "3;" }`, `stop_signal = "SIGQUIT"`, `abort_signal = "SIGTERM"`)
	if _, body, err := m.get("/"); err != nil || body != "hello from nginx\n" {
		t.Errorf("answer %q, %v", body, err)
	}
	before := m.workers()
	r := m.load(load.Plan{Connections: 2, Pause: 5 * time.Millisecond})
	m.reload()
	r.more(20)
	none(t, "a reload under load", r.end(), 20) // a new connection is no idle one for nginx
	for slot, pid := range m.workers() {
		if before[slot] == pid {
			t.Errorf("slot %d was not reloaded", slot)
		}
	}
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// A protocol of lines, accounted for by package worker: each line is a request.
func TestLineProtocol(t *testing.T) {
	t.Parallel()
	m := up(t, command(as("lines")...), "workers = 1", admin("127.0.0.1:0"), `timeout = "1s"`)
	c, err := net.Dial("tcp", m.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testTimeout))
	r := bufio.NewReader(c)
	for line, want := range map[string]string{"GET a": "VALUE a\n", "GET b": "VALUE b\n", "HANG c": "TIMEOUT\n"} {
		fmt.Fprintln(c, line)
		if got, err := r.ReadString('\n'); err != nil || got != want {
			t.Errorf("%s: %q, %v", line, got, err)
		}
	}
	got := m.samples()
	if got[`gosuper_requests_total{code="2xx"}`] != 2 || got[`gosuper_requests_total{code="5xx"}`] != 1 || got["gosuper_request_timeouts_total"] != 1 {
		t.Errorf("the master has counted %v", got)
	}
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// hypercorn returns the path of a real hypercorn.
func hypercorn(t *testing.T) string {
	return filepath.Join(virtual(t, "TEST_HYPERCORN", "hypercorn", []string{"hypercorn"}, "hypercorn"), "bin", "hypercorn")
}

// uvicorn returns the path of a real uvicorn.
func uvicorn(t *testing.T) string { return filepath.Join(venv(t), "bin", "uvicorn") }

// venv returns a virtual environment with the servers that people come from.
func venv(t *testing.T) string {
	t.Helper()
	return virtual(t, "TEST_VENV", "venv", []string{"uvicorn", "gunicorn"}, "uvicorn", "gunicorn")
}

// virtual returns the virtual environment that a variable names. Without it one is
// made in the user's cache folder, where it stays. It has the programs given, for
// which pip installs what is given.
func virtual(t *testing.T, variable, name string, programs []string, install ...string) string {
	t.Helper()
	venv := os.Getenv(variable)
	if venv == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		venv = filepath.Join(cache, "gosuper-e2e", name)
	}
	missing := func(program string) bool {
		_, err := os.Stat(filepath.Join(venv, "bin", program))
		return err != nil
	}
	if !slices.ContainsFunc(programs, missing) {
		return venv
	}
	for _, words := range [][]string{
		{"python3", "-m", "venv", venv},
		slices.Concat([]string{filepath.Join(venv, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check"}, install),
	} {
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Skipf("cannot make a virtual environment: %s: %v\n%s", strings.Join(words, " "), err, out)
		}
	}
	return venv
}
