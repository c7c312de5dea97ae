//go:build linux

package e2e

import (
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
	foreign, err := filepath.Abs("testdata/foreign")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		command func(t *testing.T) []string
		answer  string
	}{
		{"uvicorn", func(t *testing.T) []string {
			return []string{uvicorn(t), "app:app", "--app-dir", foreign, "--fd", "3", "--log-level", "warning"}
		}, "hello from uvicorn\n"},
		{"node", func(t *testing.T) []string { return []string{need(t, "node"), filepath.Join(foreign, "server.js")} }, "hello from node\n"},
		{"go", func(*testing.T) []string { return []string{plain} }, "plain\n"},
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
