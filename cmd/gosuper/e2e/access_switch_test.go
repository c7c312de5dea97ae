//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// holds says whether a process has the file open.
func holds(pid int, path string) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == path {
			return true
		}
	}
	return false
}

// A configuration that is not accepted leaves no log behind, and a log that is
// switched off is given up with the last worker that writes to it.
func TestLogsComeAndGo(t *testing.T) {
	t.Parallel()
	access, log := filepath.Join(t.TempDir(), "access.log"), filepath.Join(t.TempDir(), "gosuper.log")
	off := []string{"drain_timeout = 5", "[admin]", `bind = "127.0.0.1:0"`}
	on := append(slices.Clone(off), "[log]", fmt.Sprintf("access_file = %q", access))
	m := up(t, off...)
	held := freePort(t)
	l, err := net.Listen("tcp", held)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tc := range []struct{ outcome, line string }{
		{"reload refused, nothing was changed", fmt.Sprintf("bind = [%q]", held)},
		{"reload rolled back", command("/bin/false")},
	} {
		from := m.mark()
		m.rewrite(config(slices.Concat([]string{tc.line}, on, []string{fmt.Sprintf("file = %q", log)})...))
		m.signal(syscall.SIGHUP)
		m.wait(t, from, tc.outcome, nil)
		for _, path := range []string{access, log} {
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s has left %s", tc.outcome, filepath.Base(path))
			}
		}
	}
	ask := func(path string) {
		t.Helper()
		if _, _, err := m.get(path); err != nil {
			t.Error(err)
		}
	}
	lines := func() string {
		text, _ := os.ReadFile(access)
		return string(text)
	}

	m.rewrite(config(on...))
	m.reload()
	eventually(t, "the line of a request", func() bool {
		ask("/one") // the first may still be for an old worker, which has no log
		return strings.Contains(lines(), "GET /one ")
	})

	// One request is on its way while the log is switched off, to a worker that writes it.
	for _, old := range []int{1, 2} {
		m.wait(t, 0, "worker gone", match{"worker": old})
	}
	late := make(chan struct{})
	from := m.mark()
	go func() {
		defer close(late)
		ask("/nap?d=1s")
	}()
	m.inFlight(1)
	m.rewrite(config(off...))
	m.signal(syscall.SIGHUP)
	m.wait(t, from, "reload done", nil)
	<-late
	eventually(t, "the line of the last request", func() bool { return strings.Contains(lines(), "GET /nap") })
	eventually(t, "the end of the log", func() bool { return !holds(m.pid(), access) })
	ask("/three")
	if strings.Contains(lines(), "/three") {
		t.Error("a request was written down after the log was switched off")
	}
	if err := os.Remove(access); err != nil {
		t.Fatal(err)
	}
	m.signal(syscall.SIGUSR1)
	m.reload() // which is done after it
	if _, err := os.Stat(access); err == nil {
		t.Error("SIGUSR1 has made a log that is switched off")
	}
}
