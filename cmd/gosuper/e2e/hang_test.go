//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Files from which a reload would wait for ever, or read for ever, are refused by
// name, and the fleet does not notice.
func TestReloadRefusesWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	m := up(t)
	healthy := func() {
		t.Helper()
		if _, _, err := m.get("/facts"); err != nil {
			t.Error(err)
		}
	}
	for _, tc := range []struct{ lines, want string }{
		{fmt.Sprintf("env_file = %q", fifo), "env_file: " + fifo + ": cannot read it: it is a FIFO, not a regular file"},
		{`env_file = "/dev/zero"`, "env_file: /dev/zero: cannot read it: it is a device, not a regular file"},
		{fmt.Sprintf("[tls]\ncert = %q\nkey = %q", fifo, fifo), "tls.cert: " + fifo + ": cannot read it: it is a FIFO, not a regular file"},
		{fmt.Sprintf("pidfile = %q", fifo), "cannot write the pid file " + fifo + ": it is not a regular file"},
	} {
		from := m.mark()
		m.rewrite(config(tc.lines))
		m.signal(syscall.SIGHUP)
		e := m.wait(t, from, "reload refused, nothing was changed", nil)
		if got := fmt.Sprint(e.fields["error"]); !strings.Contains(got, tc.want) {
			t.Errorf("%s is refused as %s, want %s", tc.lines, got, tc.want)
		}
		healthy()
	}

	// The configuration itself.
	if err := os.Remove(m.file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(m.file, 0o600); err != nil {
		t.Fatal(err)
	}
	from := m.mark()
	m.signal(syscall.SIGHUP)
	e := m.wait(t, from, "reload refused, nothing was changed", nil)
	if got := fmt.Sprint(e.fields["error"]); !strings.Contains(got, "cannot read the configuration: it is a FIFO") {
		t.Errorf("refused as %s", got)
	}
	healthy()
	m.signal(syscall.SIGTERM)
	if status := m.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// A configuration from a pipe holds for the reloads, too.
func TestConfigurationFromPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString(config()); err != nil {
		t.Fatal(err)
	}
	w.Close()
	m := start(t, launch{args: []string{"-c", "/dev/fd/3"}, files: []*os.File{r}})
	m.wait(t, 0, "ready", nil)
	before := m.workers()
	m.reload()
	after := m.workers()
	for slot, pid := range before {
		if after[slot] == pid || after[slot] == 0 {
			t.Errorf("slot %d has pid %d before and %d after", slot, pid, after[slot])
		}
	}
}
