//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// A reload that changes the address opens the new one before it closes the old
// one, and every connection that the old one had accepted is answered.
func TestBindMoves(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ from, to string }{
		{"127.0.0.1:0", "127.0.0.2:0"},
		{"127.0.0.1:0", "unix"},
		{"unix", "127.0.0.1:0"},
	} {
		for _, way := range ways[:2] {
			t.Run(tc.from+" to "+tc.to+" "+way.name, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "s")
				at := func(addr string) string {
					if addr == "unix" {
						addr = "unix:" + path
					}
					return fmt.Sprintf("bind = [%q]", addr)
				}
				m := up(t, at(tc.from))
				leaving := m.load(way.plan)
				from := m.mark()
				m.rewrite(config(at(tc.to)))
				m.signal(syscall.SIGHUP)
				moved := way.plan
				moved.Addr = m.binds(m.wait(t, from, "configuration in force", nil))[0]
				moved.Network = network(moved.Addr)
				arriving := m.load(moved)
				m.wait(t, from, "reload done", nil)
				// Until the old address refuses.
				for {
					conn, err := net.DialTimeout(network(m.addr()), m.addr(), testTimeout)
					if err != nil {
						break
					}
					conn.Close()
				}
				arriving.more(100)
				none(t, "the new address", arriving.end(), 100)
				r := leaving.end()
				t.Logf("the old address: %v", r)
				// Those that came too late found the door closed, which they can tell
				// from a lost answer.
				if n := r.Losses() - r.Lost[load.Dial]; n > 0 {
					t.Errorf("%d requests on the old address were accepted and lost", n)
				}
			})
		}
	}
}

// At no moment are both addresses closed.
func TestBindMovesWithoutGap(t *testing.T) {
	t.Parallel()
	first, second := freePort(t), freePort(t)
	m := up(t, fmt.Sprintf("bind = [%q]", first))
	m.rewrite(config(fmt.Sprintf("bind = [%q]", second)))
	m.signal(syscall.SIGHUP)
	for {
		conn, err := net.Dial("tcp", first)
		if err == nil {
			conn.Close()
			continue
		}
		conn, err = net.Dial("tcp", second)
		if err != nil {
			t.Fatalf("%s is closed already, %s is closed still", first, second)
		}
		conn.Close()
		break
	}
	m.wait(t, 0, "reload done", nil)
}

// freePort returns an address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// If any of the new addresses cannot be bound all of the old are kept.
func TestBindRefused(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for _, tc := range []struct {
		name string
		from string
		to   func(port string) string
		want []string
	}{
		{
			"held by somebody else", `["127.0.0.1:0"]`, func(string) string { return fmt.Sprintf(`["127.0.0.1:0", "127.0.0.3:0", %q]`, held.Addr()) },
			[]string{held.Addr().String(), "address already in use"},
		},
		{
			"overlap", `["0.0.0.0:0"]`, func(port string) string { return fmt.Sprintf(`["127.0.0.1:%s"]`, port) },
			[]string{`"hint"`},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := up(t, "bind = "+tc.from)
			before := m.workers()
			r := m.load(load.Plan{Connections: 4, Mode: load.NewConnection})
			_, port, _ := net.SplitHostPort(m.addr())
			from := m.mark()
			m.rewrite(config("bind = " + tc.to(port)))
			m.signal(syscall.SIGHUP)
			e := m.wait(t, from, "reload refused, nothing was changed", nil)
			t.Log(e.line)
			for _, want := range tc.want {
				if !strings.Contains(e.line, want) {
					t.Errorf("the refusal does not say %q: %s", want, e.line)
				}
			}
			r.more(50)
			none(t, "load", r.end(), 50)
			if after := m.workers(); after[0] != before[0] || after[1] != before[1] {
				t.Errorf("workers %v, before %v", after, before)
			}
		})
	}
}

// What a worker does to the shared socket is undone when it is ready.
func TestSocketIsRestored(t *testing.T) {
	t.Parallel()
	ss := need(t, "ss")
	m := up(t, command(as("shrink")...), "workers = 1")
	_, port, _ := net.SplitHostPort(m.addr())
	out, err := exec.Command(ss, "-ltnH", "sport = :"+port).Output()
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(out))
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Fatal(err)
	}
	somaxconn, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	if want := strconv.Itoa(min(2048, somaxconn)); len(fields) < 3 || fields[2] != want {
		t.Errorf("the backlog is not %s: %s", want, out)
	}
	found := false
	worker := m.wait(t, 0, "worker ready", nil).num("pid")
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/3", worker))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(info)) {
		if value, ok := strings.CutPrefix(line, "flags:"); ok {
			found = true
			flags, err := strconv.ParseInt(strings.TrimSpace(value), 8, 64)
			if err != nil || flags&syscall.O_NONBLOCK == 0 {
				t.Errorf("the socket is blocking: %s", line)
			}
		}
	}
	if !found {
		t.Errorf("no flags: %s", info)
	}
}

// A backlog of connections that nobody has accepted yet is served by the workers
// that come after a crash: the socket is the master's.
func TestQueueOutlivesWorkers(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	open := func() {
		if err := os.WriteFile(gate, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	open()
	m := up(t, command(as("serve", "", gate)...), "workers = 1")
	if err := os.Remove(gate); err != nil {
		t.Fatal(err)
	}
	from := m.mark()
	syscall.Kill(m.workers()[0], syscall.SIGKILL)
	m.wait(t, from, "worker started", nil)
	result := make(chan *load.Result)
	go func() {
		result <- load.Plan{Addr: m.addr(), Connections: 50, Count: 50}.Run(t.Context())
	}()
	eventually(t, "all are queued", func() bool { return queued(t, m.addr()) >= 50 })
	open()
	none(t, "queued requests", <-result, 50)
}

// queued is how many connections wait to be accepted.
func queued(t *testing.T, addr string) int {
	t.Helper()
	_, port, _ := net.SplitHostPort(addr)
	out, err := exec.Command(need(t, "ss"), "-ltnH", "sport = :"+port).Output()
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(strings.Fields(string(out))[1])
	return n
}

// Two reloads right after each other that drop an address each leave no socket
// behind, and the way back is open.
func TestBindMovesTwice(t *testing.T) {
	t.Parallel()
	a, x, y, z := freePort(t), freePort(t), freePort(t), freePort(t)
	to := func(other string) string {
		return config(fmt.Sprintf("bind = [%q, %q]", a, other), "drain_timeout = 1")
	}
	m := start(t, launch{config: to(x)})
	m.wait(t, 0, "ready", nil)
	for _, other := range []string{y, z, x} {
		m.rewrite(to(other))
		m.reload()
	}
	// Until those that left are closed for good: bound by nobody.
	for _, left := range []string{y, z} {
		eventually(t, left+" is given back", func() bool {
			l, err := net.Listen("tcp", left)
			if err == nil {
				l.Close()
			}
			return err == nil
		})
	}
	for _, there := range []string{a, x} {
		conn, err := net.Dial("tcp", there)
		if err != nil {
			t.Error(err)
			continue
		}
		conn.Close()
	}
}
