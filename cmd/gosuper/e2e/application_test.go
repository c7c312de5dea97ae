//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A Python application is a command: it is served by the package of the Python at
// hand, and its sources are followed, the others beside them are not.
func TestApplication(t *testing.T) {
	t.Parallel()
	source := absolute(t, pythonPackage+"/src")
	serve := func(version string) string {
		return "async def app(scope, receive, send):\n" +
			"    assert scope['type'] == 'http'\n" +
			"    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n" +
			"    await send({'type': 'http.response.body', 'body': b'" + version + "'})\n"
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "served.py"), []byte(serve("one")), 0o644); err != nil {
		t.Fatal(err)
	}
	m := start(t, launch{
		config: config("command = ['served:app', '--lifespan', 'off']", "reload = true", "chdir = '"+folder+"'"),
		env:    []string{"VIRTUAL_ENV=" + pythonVenv(t), "PYTHONPATH=" + source, "PYTHONDONTWRITEBYTECODE=1"},
	})
	m.wait(t, 0, "ready", nil)
	for _, e := range m.count(t, 2, 0, "worker ready", nil) {
		if e.str("cooperating") != "true" {
			t.Errorf("a worker does not cooperate: %s", e.line)
		}
	}
	answers := func(want string) {
		t.Helper()
		if _, body, err := m.get("/"); err != nil || body != want {
			t.Errorf("answer %q, %v", body, err)
		}
	}
	answers("one")
	<-time.After(hesitation)
	from := m.mark()
	for name, text := range map[string]string{"notes.txt": "x", "served.py": serve("two")} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.wait(t, from, "changed", match{"file": "served.py"})
	m.wait(t, from, "reload done", nil)
	m.count(t, 2, from, "worker gone", match{"reason": "reload"}) // until then they may answer
	m.only(t, "served.py")
	answers("two")
	before := m.workers()
	m.upgrade()
	if after := m.workers(); len(after) != len(before) || after[0] != before[0] {
		t.Errorf("workers %v, before %v", after, before)
	}
	m.reload()
	answers("two")
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	m.gone(0)
}
