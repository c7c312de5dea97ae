//go:build linux

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker"
)

// spoiler is a good worker that does, when it is asked to, what some servers do to
// their socket when they end: /shutdown makes it deaf, /remove takes its path away.
// Then it ends.
func spoiler([]string) error {
	keep, err := unix.FcntlInt(3, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return err
	}
	handler := newHandler()
	handler.HandleFunc("/shutdown", func(http.ResponseWriter, *http.Request) {
		unix.Shutdown(keep, unix.SHUT_RDWR)
		os.Exit(0)
	})
	handler.HandleFunc("/remove", func(_ http.ResponseWriter, r *http.Request) {
		os.Remove(r.FormValue("path"))
		os.Exit(0)
	})
	return worker.ListenAndServe("", handler)
}

const mended = "a socket that all workers share took no more connections, and does again"

// What one worker does to the socket does not stay with the others.
func TestMendedSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	for name, c := range map[string]struct{ bind, ask, problem string }{
		"tcp":  {"127.0.0.1:0", "/shutdown", "did not listen any more"},
		"unix": {"unix:" + path, "/shutdown", "was shut down"},
		"path": {"unix:" + path + "2", "/remove?path=" + path + "2", "lost its path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := up(t, `bind = ["`+c.bind+`"]`, command(as("spoiler")...))
			m.get(c.ask) // its end is no answer
			e := m.wait(t, 0, mended, match{"problem": c.problem})
			if ended := fmt.Sprint(e.fields["ended"]); ended != "[1]" && ended != "[2]" && ended != "[1 2]" { // the other may end by it too
				t.Errorf("to blame is %s", ended)
			}
			m.serves(t)
			if all := m.all(0, mended, nil); len(all) != 1 {
				t.Errorf("mended %d times", len(all))
			}
		})
	}
}

// serves waits until both workers are ready and accept.
func (m *master) serves(t *testing.T) {
	t.Helper()
	seen := map[string]bool{}
	eventually(t, "both workers answer", func() bool {
		answer, _, err := m.get("/")
		if err != nil {
			clear(seen)
			return false
		}
		seen[answer.Header.Get("X-Worker-Pid")] = true
		for _, pid := range m.workers() {
			if !seen[fmt.Sprint(pid)] {
				return false
			}
		}
		return len(m.workers()) == 2
	})
}

// A path that somebody has removed comes back with the next reload, and what has
// taken its place since stays.
func TestMendedPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	m := up(t, `bind = ["unix:`+path+`"]`)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	m.reload()
	m.serves(t)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	m.reload()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := other.Accept(); err != nil {
		t.Error(err)
	}
}
