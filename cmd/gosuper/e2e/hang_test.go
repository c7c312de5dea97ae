//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
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
		{fmt.Sprintf("pidfile = %q", fifo), "cannot write the pid file: " + fifo + " is not a regular file"},
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

// slowNames makes a machine whose name server takes questions and says nothing.
const slowNames = `echo "nameserver $SERVER" >"$DIR/resolv.conf" && mount --bind "$DIR/resolv.conf" /etc/resolv.conf && exec "$@"`

// While a name of bind is looked up in vain the fleet is looked after as ever, and
// a stop does not wait for it, at a reload nor at the start.
func TestNameServerIsSilent(t *testing.T) {
	t.Parallel()
	needRoot(t)
	need(t, "unshare")
	machine := func(second int, lines ...string) (m *master, question func()) {
		t.Helper()
		// The port cannot be chosen, the address can.
		at := fmt.Sprintf("127.%d.%d.%d", second, os.Getpid()>>8&0xff, os.Getpid()&0xff)
		server, err := net.ListenPacket("udp", at+":53")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		m = start(t, launch{
			before: []string{"unshare", "--mount", "sh", "-c", slowNames, "sh"},
			env:    []string{"DIR=" + t.TempDir(), "SERVER=" + at},
			config: config(append(lines, "workers = 1")...),
		})
		return m, func() {
			t.Helper()
			server.SetReadDeadline(time.Now().Add(testTimeout))
			if _, _, err := server.ReadFrom(make([]byte, 512)); err != nil {
				t.Fatal("the name was not looked up: ", err)
			}
		}
	}
	m, question := machine(53)
	m.wait(t, 0, "ready", nil)
	m.rewrite(config("workers = 1", `bind = ["127.0.0.1:0", "nowhere.example:0"]`))
	m.signal(syscall.SIGHUP)
	question()
	from := m.mark()
	if err := syscall.Kill(m.workers()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.wait(t, from, "worker ready", nil)
	m.signal(syscall.SIGTERM)
	if status := m.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if strings.Contains(m.String(), "reload refused") {
		t.Error("the look-up was over before the master was")
	}

	m, question = machine(54, `bind = ["nowhere.example:0"]`)
	question()
	m.signal(syscall.SIGTERM)
	if status := m.end(); status != 0 || m.String() != "" {
		t.Errorf("a stop of a master that looks up a name: exit status %d, %s", status, m)
	}
}
