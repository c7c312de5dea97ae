//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// How far from its timeout something may happen: a busy machine makes it late.
const (
	early = 500 * time.Millisecond
	late  = 5 * time.Second
)

// near says whether a time is what was asked for.
func near(t *testing.T, what string, took, want time.Duration) {
	t.Helper()
	t.Logf("%s: %v, want %v", what, took, want)
	if took < want-early || took > want+late {
		t.Errorf("%s took %v, want %v", what, took, want)
	}
}

// flight is a request that a worker is busy with.
type flight struct {
	conn   net.Conn
	answer *http.Response
}

// fly sends a request and returns when its handler is at work.
func (m *master) fly(path string) *flight {
	m.t.Helper()
	addr := m.addr()
	conn, err := net.Dial(network(addr), addr)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		m.t.Fatal(err)
	}
	return &flight{conn, answer}
}

// land waits for the rest of the answer.
func (f *flight) land() (string, error) {
	body, err := io.ReadAll(f.answer.Body)
	return string(body), err
}

func (f *flight) pid() int {
	pid, _ := strconv.Atoi(f.answer.Header.Get("X-Worker-Pid"))
	return pid
}

func TestRequestInFlightFinishesOnTERM(t *testing.T) {
	t.Parallel()
	m := up(t)
	f := m.fly("/sleep?d=1s")
	m.signal(syscall.SIGTERM)
	if body, err := f.land(); err != nil || body != "slept\n" {
		t.Errorf("answer %q, %v", body, err)
	}
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for _, e := range m.count(t, 2, 0, "worker gone", nil) {
		if e.str("status") != "exit status 0" {
			t.Errorf("worker status %q", e.str("status"))
		}
	}
}

// A worker whose handler does not come to an end is given its time, and no more.
func TestGracefulTimeout(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		role, path string
		timeout    time.Duration
	}{
		{"serve", "/sleep?d=1h", 1500 * time.Millisecond},
		{"deaf", "/sleep?d=1h", 1500 * time.Millisecond},
		{"deaf", "", 1500 * time.Millisecond},
		{"serve", "/sleep?d=1h", 0},
		{"deaf", "", 0},
	} {
		t.Run(fmt.Sprintf("%s %s %v", tc.role, strings.Trim(tc.path, "/"), tc.timeout), func(t *testing.T) {
			t.Parallel()
			m := up(t, command(as(tc.role)...), fmt.Sprintf("graceful_timeout = %q", tc.timeout))
			if tc.path != "" {
				m.fly(tc.path)
			}
			begin := time.Now()
			m.signal(syscall.SIGTERM)
			if code := m.end(); code != 0 {
				t.Errorf("exit status %d", code)
			}
			near(t, "the stop", time.Since(begin), tc.timeout)
		})
	}
}

func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		role    string
		timeout time.Duration
	}{{"serve", 1500 * time.Millisecond}, {"deaf", 1500 * time.Millisecond}, {"serve", 0}} {
		t.Run(fmt.Sprintf("%s %v", tc.role, tc.timeout), func(t *testing.T) {
			t.Parallel()
			m := up(t, command(as(tc.role)...), fmt.Sprintf("drain_timeout = %q", tc.timeout))
			f := m.fly("/sleep?d=1h")
			from := m.mark()
			m.signal(syscall.SIGHUP)
			told := m.wait(t, from, "worker draining", match{"pid": f.pid()})
			gone := m.wait(t, from, "worker gone", match{"pid": f.pid()})
			near(t, "the drain", gone.at.Sub(told.at), tc.timeout)
			m.wait(t, from, "reload done", nil)
		})
	}
}

// A stop during a reload cuts the drains under way to its own time.
func TestHUPAndTERMDoNotAdd(t *testing.T) {
	t.Parallel()
	for _, drain := range []time.Duration{time.Minute, 10 * time.Second} {
		t.Run(drain.String(), func(t *testing.T) {
			t.Parallel()
			m := up(t, `graceful_timeout = "2s"`, fmt.Sprintf("drain_timeout = %q", drain))
			f := m.fly("/sleep?d=1h")
			m.signal(syscall.SIGHUP)
			told := m.wait(t, 0, "worker draining", match{"pid": f.pid()})
			<-time.After(time.Until(told.at.Add(time.Second)))
			begin := time.Now()
			m.signal(syscall.SIGTERM)
			if code := m.end(); code != 0 {
				t.Errorf("exit status %d", code)
			}
			near(t, "the stop", time.Since(begin), 2*time.Second)
		})
	}
}

func TestINTDuringTERM(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"serve", "deaf"} {
		for _, second := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
			t.Run(role+" "+second.String(), func(t *testing.T) {
				t.Parallel()
				m := up(t, command(as(role)...))
				m.fly("/sleep?d=1h")
				m.signal(syscall.SIGTERM)
				m.count(t, 2, 0, "worker draining", nil)
				begin := time.Now()
				m.signal(second)
				if code := m.end(); code != 0 {
					t.Errorf("exit status %d", code)
				}
				took := time.Since(begin)
				t.Logf("ended after %v", took)
				if took > time.Second+late {
					t.Errorf("the quick stop took %v", took)
				}
			})
		}
	}
}

func TestSecondTERMChangesNothing(t *testing.T) {
	t.Parallel()
	m := up(t, `graceful_timeout = "2s"`)
	m.fly("/sleep?d=1h")
	begin := time.Now()
	m.signal(syscall.SIGTERM)
	m.count(t, 2, 0, "worker draining", nil)
	// Had any of them begun the stop anew, it would not end.
	for again, over := time.NewTicker(200*time.Millisecond), false; !over && time.Since(begin) < testTimeout; {
		select {
		case <-again.C:
			m.cmd.Process.Signal(syscall.SIGTERM) // unless it has ended meanwhile
		case <-m.exited:
			over = true
		}
	}
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	near(t, "the stop", time.Since(begin), 2*time.Second)
	if n := len(m.all(0, "worker draining", nil)); n != 2 {
		t.Errorf("%d stop signals for 2 workers", n)
	}
}

// No worker outlives a master that was killed, whatever it does with signals and
// whoever it runs as.
func TestMasterKilled(t *testing.T) {
	for _, tc := range []struct {
		role string
		user bool
		busy bool
	}{{"serve", false, false}, {"serve", false, true}, {"deaf", false, true}, {"serve", true, true}, {"deaf", true, true}} {
		t.Run(fmt.Sprintf("%s user %v busy %v", tc.role, tc.user, tc.busy), func(t *testing.T) {
			t.Parallel()
			lines := []string{command(as(tc.role)...), "workers = 4"}
			if tc.user {
				needRoot(t)
				lines = append(lines, `user = "65534"`, `chdir = "/"`)
			}
			m := up(t, lines...)
			if tc.busy {
				f := m.fly("/sleep?d=1h")
				if uid := strings.Fields(status(f.pid())["Uid"])[0]; tc.user && uid != "65534" {
					t.Errorf("the worker runs as user %s", uid)
				}
			}
			m.signal(syscall.SIGKILL)
			m.end()
			t.Logf("the last worker was gone after %v", m.gone(late))
		})
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}
