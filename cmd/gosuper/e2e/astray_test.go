//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// stranger is another user than root, in a folder of his own.
type stranger struct {
	t   *testing.T
	dir string
	as  []string
}

func newStranger(t *testing.T) stranger {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("there is nothing to gain from a master that is not root")
	}
	p, _ := mortal(t)
	return stranger{t: t, dir: p.dir, as: p.before}
}

// does runs a command as him.
func (s stranger) does(words ...string) {
	s.t.Helper()
	words = append(slices.Clone(s.as), words...)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		s.t.Fatalf("%q: %v\n%s", words, err, out)
	}
}

func (s stranger) path(name string) string { return filepath.Join(s.dir, name) }

// secret is a file of root's that nobody else can read or write.
func secret(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// says checks what a file says.
func says(t *testing.T, path, want string) {
	t.Helper()
	if text, err := os.ReadFile(path); string(text) != want {
		t.Errorf("%s says %q, %v", path, text, err)
	}
}

// Whoever may write where the logs are has root append to no other file, neither
// at the start nor at a reload nor when they are opened anew.
func TestLogsAreNotLedAstray(t *testing.T) {
	t.Parallel()
	keys := map[string]string{"file": "log", "access_file": "access log"}
	for key, what := range keys {
		ways := map[string]func(s stranger, target string) string{
			"a link": func(s stranger, target string) string {
				s.does("ln", "-sfn", target, s.path("trap.log"))
				return s.path("trap.log")
			},
			"a folder": func(s stranger, target string) string {
				s.does("ln", "-sfn", filepath.Dir(target), s.path("logs"))
				return filepath.Join(s.path("logs"), filepath.Base(target))
			},
			"a second name": func(s stranger, target string) string {
				os.Remove(s.path("name.log"))
				// As he could where fs.protected_hardlinks is 0.
				if err := os.Link(target, s.path("name.log")); err != nil {
					s.t.Fatal(err)
				}
				return s.path("name.log")
			},
		}
		for way, trap := range ways {
			t.Run(key+" by "+way, func(t *testing.T) {
				t.Parallel()
				s, target := newStranger(t), secret(t, "mine\n")
				log := func(path string) string { return fmt.Sprintf("log = { %s = %q }", key, path) }

				m := start(t, launch{config: config(log(trap(s, target)))})
				if code := m.end(); code == 0 {
					t.Error("a master started with it")
				}
				says(t, target, "mine\n")

				m = up(t, log("-"))
				m.rewrite(config(log(trap(s, target))))
				from := m.mark()
				m.signal(syscall.SIGHUP)
				e := m.wait(t, from, "reload refused, nothing was changed", nil)
				if !strings.Contains(e.line, "cannot open the "+what) {
					t.Errorf("refused with %s", e.line)
				}
				says(t, target, "mine\n")
			})
		}
	}
	t.Run("opened anew", func(t *testing.T) {
		t.Parallel()
		s, target := newStranger(t), secret(t, "mine\n")
		path := s.path("good.log")
		m := start(t, launch{config: config(fmt.Sprintf("log = { file = %q }", path))})
		has := func(path, words string) bool {
			text, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(text), words)
		}
		eventually(t, "the master is ready", func() bool { return has(path, `"msg":"ready"`) })
		s.does("mv", path, s.path("old.log"))
		s.does("ln", "-s", target, path)
		m.signal(syscall.SIGUSR1)
		m.signal(syscall.SIGHUP) // of which it has something to write
		eventually(t, "the log is opened anew, or not", func() bool {
			return has(s.path("old.log"), "cannot reopen the log") || !has(target, "mine\n") || has(target, "msg")
		})
		m.signal(syscall.SIGTERM)
		m.end()
		says(t, target, "mine\n")
	})
}

// Root does not read for others what they cannot read themselves.
func TestInputsAreNotLedAstray(t *testing.T) {
	t.Parallel()
	s, target := newStranger(t), secret(t, "PASSWORD=hunter2\n")
	s.does("ln", "-s", target, s.path("link"))
	s.does("ln", "-s", filepath.Dir(target), s.path("folder"))
	if err := os.Link(target, s.path("name")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("moved"), []byte("PASSWORD=hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.does("sh", "-c", "echo PASSWORD=own >"+s.path("own"))
	m := up(t, fmt.Sprintf("env_file = %q", s.path("own")))
	for _, name := range []string{"link", "folder/secret", "name", "moved"} {
		m.rewrite(config(fmt.Sprintf("env_file = %q", s.path(name))))
		from := m.mark()
		m.signal(syscall.SIGHUP)
		if e := m.wait(t, from, "reload refused, nothing was changed", nil); !strings.Contains(e.line, "cannot read it: "+s.dir) {
			t.Errorf("%s: refused with %s", name, e.line)
		}
	}
	for _, pid := range m.workers() {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || !strings.Contains(string(environ), "PASSWORD=own") {
			t.Errorf("worker %d has %q, %v", pid, environ, err)
		}
	}
}
