//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/cmd/internal/load"
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
	s.socket.SetReadDeadline(time.Now().Add(testTimeout))
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
	for _, entry := range m.given() {
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

// given is the environment that the worker of slot 0 was started with.
func (m *master) given() []string {
	m.t.Helper()
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", m.workers()[0]))
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.Split(string(environ), "\x00")
}

// restart is how the service manager starts the next master: with what is in its
// descriptor store.
func (s *systemd) restart(text string) *master {
	s.t.Helper()
	l := launch{config: text, env: []string{s.env, "FDSTORE=8"}}
	var names []string
	for name, fd := range s.stored {
		// Its number is another copy, which is closed with the file.
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		file := os.NewFile(uintptr(dup), name)
		defer file.Close()
		l.files = append(l.files, file)
		names = append(names, name)
	}
	if len(names) > 0 {
		l.before = []string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh"}
		l.env = append(l.env, fmt.Sprintf("LISTEN_FDS=%d", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	return start(s.t, l)
}

func (s *systemd) names() string {
	return strings.Join(slices.Sorted(maps.Keys(s.stored)), " ")
}

// A master that is killed leaves its sockets in the descriptor store, and the next
// one answers those who came in between. What leaves bind leaves the store.
func TestSocketsOutliveTheMaster(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	service := newSystemd(t)
	port := freePort(t)
	both := config(fmt.Sprintf("bind = [%q, %q]", port, "unix:"+path))
	name := "gosuper-stored-tcp-" + strings.Replace(port, ":", "_", 1)
	all := name + " gosuper-stored-unix-" + path

	m := service.restart(both)
	for range 3 {
		service.until("READY", "1")
		if service.names() != all {
			t.Fatalf("the store has %q, want %q", service.names(), all)
		}
		if err := m.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		m.end()
		m.gone(late)
		results := make(chan *load.Result, 2)
		for _, addr := range []string{port, path} {
			go func() {
				results <- load.Plan{Addr: addr, Network: network(addr), Connections: 20, Count: 20}.Run(t.Context())
			}()
		}
		eventually(t, "all are queued", func() bool { return queued(t, port) >= 20 })
		m = service.restart(both)
		none(t, "queued while there was no master", <-results, 20)
		none(t, "queued while there was no master", <-results, 20)
	}
	service.until("READY", "1")

	m.rewrite(config(fmt.Sprintf("bind = [%q]", port)))
	m.signal(syscall.SIGHUP)
	for service.names() != name {
		service.next()
	}
	service.until("READY", "1")
	m.signal(syscall.SIGTERM)
	service.until("STATUS", "stopping: 0 workers left")
	if code := m.end(); code != 0 || service.names() != name {
		t.Fatalf("exit status %d, and the store has %q", code, service.names())
	}
	// The stop has closed the socket to everybody, which the next master knows.
	m = service.restart(both)
	service.until("READY", "1")
	if service.names() != all {
		t.Errorf("the store has %q, want %q", service.names(), all)
	}
	if answer, body, err := m.get("/"); err != nil || answer.StatusCode != 200 {
		t.Errorf("%v %s", err, body)
	}
}

// Sockets of a socket unit win over bind, come with their names, and stay what
// they are when the master stops.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	activate := need(t, "systemd-socket-activate")
	port, path := freePort(t), filepath.Join(t.TempDir(), "s")
	m := start(t, launch{
		before: []string{activate, "-E", markName, "-l", port, "-l", path, "--fdname=web:local"},
		config: config(`bind = ["127.0.0.1:1"]`),
	})
	m.await(t, "systemd-socket-activate listens", func() bool {
		conn, err := net.Dial("tcp", port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	m.wait(t, 0, "ready", nil)
	if got := m.binds(m.wait(t, 0, "starting", nil)); !slices.Equal(got, []string{port, path}) {
		t.Errorf("listening on %q", got)
	}
	if given := m.given(); !slices.Contains(given, "LISTEN_FDS=2") || !slices.Contains(given, "LISTEN_FDNAMES=web:local") {
		t.Errorf("a worker is given %q", given)
	}
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the path, which is not ours, is gone: %v", err)
	}
}
