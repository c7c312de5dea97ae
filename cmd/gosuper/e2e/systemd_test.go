//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// systemd is a service manager made of nothing but its notify socket.
type systemd struct {
	t      *testing.T
	socket *net.UnixConn
	env    string // for the master
	stored map[string]int
}

func newSystemd(t *testing.T) *systemd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	s := &systemd{t: t, socket: socket, env: "NOTIFY_SOCKET=" + path, stored: map[string]int{}}
	t.Cleanup(func() {
		socket.Close()
		for _, fd := range s.stored {
			unix.Close(fd)
		}
	})
	return s
}

// next is what the master says next, a map of its assignments. The descriptors of
// FDSTORE=1 are kept.
func (s *systemd) next() map[string]string {
	s.t.Helper()
	s.socket.SetReadDeadline(time.Now().Add(patience))
	text, control := make([]byte, 4096), make([]byte, 1024)
	n, oobn, _, _, err := s.socket.ReadMsgUnix(text, control)
	if err != nil {
		s.t.Fatal(err)
	}
	said := map[string]string{}
	for line := range strings.Lines(string(text[:n])) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		said[key] = value
	}
	if said["FDSTOREREMOVE"] == "1" {
		unix.Close(s.stored[said["FDNAME"]])
		delete(s.stored, said["FDNAME"])
	}
	messages, err := unix.ParseSocketControlMessage(control[:oobn])
	for _, m := range messages {
		fds, rightsErr := unix.ParseUnixRights(&m)
		err = errors.Join(err, rightsErr)
		for _, fd := range fds {
			s.stored[said["FDNAME"]] = fd
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return said
}

// until reads on until the master assigns a value to a key.
func (s *systemd) until(key, value string) map[string]string {
	s.t.Helper()
	for {
		if said := s.next(); said[key] == value {
			return said
		}
	}
}

// What a Type=notify-reload service has to say: READY when the workers are ready
// and not before, the begin and the end of every reload, also of those that fail,
// and its end. None of it reaches the workers.
func TestServiceManager(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	service := newSystemd(t)
	text := config(command(as("serve", "", gate)...), `ready = "notify"`, "startup_timeout = 300")
	m := start(t, launch{config: text, env: []string{service.env, "WATCHDOG_USEC=200000"}})
	said := service.until("STATUS", "starting: 0 of 2 workers ready, generation 1")
	if usec, err := strconv.Atoi(said["EXTEND_TIMEOUT_USEC"]); err != nil || usec < 300e6 {
		t.Errorf("startup_timeout is 300 s, but the start said %v", said)
	}
	for range 5 { // it lives, and is not ready
		if said := service.until("WATCHDOG", "1"); said["READY"] != "" {
			t.Fatalf("ready before the workers are: %v", said)
		}
	}
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	said = service.until("READY", "1")
	m.wait(t, 0, "ready", nil)
	if said["STATUS"] != "2 workers ready, generation 1" {
		t.Errorf("status %q", said["STATUS"])
	}

	var clock unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &clock); err != nil {
		t.Fatal(err)
	}
	m.signal(syscall.SIGHUP)
	said = service.until("RELOADING", "1")
	if usec, err := strconv.ParseInt(said["MONOTONIC_USEC"], 10, 64); err != nil || usec < clock.Nano()/1000 {
		t.Errorf("the reload began at %d, before %d: %v", usec, clock.Nano()/1000, err)
	}
	if said = service.until("READY", "1"); said["STATUS"] != "2 workers ready, generation 2" {
		t.Errorf("status %q", said["STATUS"])
	}
	for _, failing := range []struct{ text, status string }{
		{text + "nonsense = 1\n", `^2 workers ready, generation 2; reload refused: .*nonsense`},
		{config(command(as("crash", "bert")...), `ready = "notify"`), `^2 workers ready, generation 2; reload rolled back: worker \d+: .*cannot find the model bert`},
	} {
		m.rewrite(failing.text)
		m.signal(syscall.SIGHUP)
		service.until("RELOADING", "1")
		if said = service.until("READY", "1"); !regexp.MustCompile(failing.status).MatchString(said["STATUS"]) {
			t.Errorf("status %q, want %s", said["STATUS"], failing.status)
		}
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", m.workers()[0]))
	if err != nil {
		t.Fatal(err)
	}
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		if entry == service.env || strings.HasPrefix(entry, "WATCHDOG_") {
			t.Errorf("a worker has %s", entry)
		}
	}

	m.signal(syscall.SIGTERM)
	said = service.until("STOPPING", "1")
	if said["EXTEND_TIMEOUT_USEC"] == "" {
		t.Errorf("graceful_timeout is 30 s, but the stop said %v", said)
	}
	service.until("STATUS", "stopping: 0 workers left")
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
