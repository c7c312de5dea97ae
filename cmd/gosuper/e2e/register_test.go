//go:build linux

package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// nodePackage is the package for Node, whose development dependencies are what it is
// tested with.
const nodePackage = repository + "/worker/node"

// Programs that call listen themselves are cooperating workers by an option of node:
// frameworks as they come, by either way to load a module first.
func TestRegister(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, program, option string
		sockets               int // the worker listens on: those of the master and its own
	}{
		{"express", "express.js", "--import", 3},
		{"express by require", "express.js", "--require", 3},
		{"fastify", "fastify.mjs", "--import", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := registered(t, tc.program, tc.option, `timeout = "1s"`, `bind = ["127.0.0.1:0", "127.0.0.1:0"]`, `keepalive = "1s"`)
			for _, e := range m.count(t, 2, 0, "worker ready", nil) {
				if e.str("cooperating") != "true" {
					t.Errorf("a plain worker: %s", e.line)
				}
				eventually(t, fmt.Sprintf("the worker listens on %d sockets", tc.sockets), func() bool { return listening(t, e.num("pid")) == tc.sockets })
			}
			framework, _, _ := strings.Cut(tc.name, " ")
			for _, address := range m.binds(m.wait(t, 0, "starting", nil)) {
				answer, err := http.Get("http://" + address + "/")
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", address, answer.Status)
				}
			}
			if _, body, err := m.get("/"); err != nil || body != "hello from "+framework+"\n" {
				t.Errorf("answer %q, %v", body, err)
			}
			begin := time.Now()
			if answer, _, err := m.get("/hang"); err != nil || answer.StatusCode != http.StatusGatewayTimeout {
				t.Errorf("a request that hangs: %v, %v", answer, err)
			}
			t.Logf("504 after %v", time.Since(begin))

			reloadOnce(t, m)
			m.signal(syscall.SIGTERM)
			if code := m.end(); code != 0 {
				t.Errorf("exit status %d", code)
			}
			m.gone(0)
		})
	}
}

// What the program's own handler of SIGTERM closes is no client's.
func TestRegisterReloadsLoseNothing(t *testing.T) {
	m := registered(t, "express.js", "--import")
	under(t, m, 6*time.Second, 0, func(*running) { m.reload() })
}

// listening is on how many sockets of TCP a process listens.
func listening(t *testing.T, pid int) int {
	t.Helper()
	out, err := exec.Command(need(t, "ss"), "-ltnpH").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(out), fmt.Sprintf("pid=%d,", pid))
}

// Without a master nothing is changed: the program has the port that it asks for, and
// ends by its own means.
func TestRegisterAlone(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	_, port, _ := net.SplitHostPort(address)
	dir := nodeFolder(t, "express.js")
	cmd := exec.Command(need(t, "node"), "--import", "gosuper/register", "express.js")
	cmd.Dir, cmd.Env = dir, append(cleanEnviron(), "PORT="+port)
	daemon(t, cmd, func() bool {
		answer, err := http.Get("http://" + address + "/")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// registered starts a master for a program of testdata/registered.
func registered(t *testing.T, program, option string, lines ...string) *master {
	t.Helper()
	dir := nodeFolder(t, program)
	return up(t, append(lines, command(need(t, "node"), option, "gosuper/register", program), fmt.Sprintf("chdir = %q", dir))...)
}

// nodeFolder returns a fresh folder with a program of testdata/registered, where it
// finds the frameworks, and the package as it is in this repository.
func nodeFolder(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, program), []byte(read(t, "testdata/registered/"+program)))
	linkModules(t, dir)
	return dir
}

// linkModules lets programs of a folder find what the Node package is tested with, and
// the package itself.
func linkModules(t *testing.T, dir string) {
	t.Helper()
	ours := absolute(t, nodePackage)
	from := filepath.Join(nodeModules(t), "node_modules")
	modules := filepath.Join(dir, "node_modules")
	if err := os.Mkdir(modules, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"express": filepath.Join(from, "express"), "fastify": filepath.Join(from, "fastify"), "gosuper": ours,
	} {
		if err := os.Symlink(target, filepath.Join(modules, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// nodeModules returns a folder where npm has installed what the Node package is tested
// with: the one that TEST_NODE names, else one in the user's cache folder, where it stays.
func nodeModules(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("TEST_NODE"); dir != "" {
		return dir
	}
	need(t, "npm")
	dir, err := installNode()
	if err != nil {
		t.Skip(err)
	}
	return dir
}

// installNode has npm install once, in a folder that gets its name when it is whole.
var installNode = sync.OnceValues(func() (string, error) {
	wanted, err := os.ReadFile(nodePackage + "/package.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "gosuper-e2e", fmt.Sprintf("node-%.4x", sha256.Sum256(wanted)))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "node-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if err := os.WriteFile(filepath.Join(fresh, "package.json"), wanted, 0o644); err != nil {
		return "", err
	}
	cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = fresh
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot install: %w\n%s", err, out)
	}
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, nil
})
