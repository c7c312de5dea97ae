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

// The image of the example does the duties of PID 1, as a user without rights on a
// file system that cannot be written.
func TestDocker(t *testing.T) {
	t.Parallel()
	needRoot(t)
	d := startDocker(t)
	d.buildImage(t)

	t.Run("stop lets requests finish", func(t *testing.T) {
		t.Parallel()
		name, m := d.run(t, "agent-server")
		conn := d.inFlight(t, m)
		stopped := make(chan error, 1)
		go func() { stopped <- d.command("stop", "-t", "40", name).Run() }()
		draining := m.wait(t, 0, "worker draining", match{"reason": "stop"})
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), `"answer"`) {
			t.Errorf("%s %s %v", answer.Status, body, err)
		}
		t.Logf("answered %v after the worker was told to drain", time.Since(draining.at))
		if err := take(t, 1, stopped)[0]; err != nil || m.end() != 0 {
			t.Errorf("docker stop: %v, exit status %d", err, m.end())
		}
	})

	t.Run("health", func(t *testing.T) {
		t.Parallel()
		name, m := d.run(t, "agent-server")
		eventually(t, "the container is healthy", func() bool {
			return d.do(t, "inspect", "--format", "{{.State.Health.Status}}", name) == "healthy"
		})
		d.do(t, "exec", name, "gosuper", "health", "--ready")
		if out := d.do(t, "exec", name, "gosuper", "status"); !strings.Contains(out, "agent") {
			t.Errorf("gosuper status says\n%s", out)
		}
		d.do(t, "exec", name, "gosuper", "reload", "--wait")
		// A master that does not answer is not healthy.
		if err := syscall.Kill(d.pid(t, name), syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the container is unhealthy", func() bool {
			return d.do(t, "inspect", "--format", "{{.State.Health.Status}}", name) == "unhealthy"
		})
		if err := syscall.Kill(d.pid(t, name), syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		m.signal(syscall.SIGTERM)
		if code := m.end(); code != 0 {
			t.Errorf("exit status %d", code)
		}
	})

	t.Run("confined", func(t *testing.T) {
		t.Parallel()
		name, m := d.run(t, "agent-server")
		if pid := m.wait(t, 0, "starting", nil).num("pid"); pid != 1 {
			t.Errorf("the master is process %d", pid)
		}
		master := d.pid(t, name)
		for _, pid := range append(children(t, master), master) {
			s := status(pid)
			if !strings.HasPrefix(s["Uid"], "65532\t") || !strings.HasPrefix(s["Gid"], "65532\t") || s["CapEff"] != "0000000000000000" || s["NoNewPrivs"] != "1" {
				t.Errorf("process %d: user %s, group %s, capabilities %s, no new privileges %s", pid, s["Uid"], s["Gid"], s["CapEff"], s["NoNewPrivs"])
			}
			root := fmt.Sprintf("/proc/%d/root/anything", pid)
			if err := os.WriteFile(root, nil, 0o600); err == nil {
				t.Errorf("the root of process %d can be written", pid)
			}
		}
		for _, pid := range children(t, master) {
			if has, least := oomScore(t, pid), oomScore(t, master)+100; has < least {
				t.Errorf("oom_score_adj of a worker is %d, want at least %d: the kernel might take the master instead", has, least)
			}
		}
		if auto := m.wait(t, 0, "workers = auto", nil); auto.num("workers") != 2 || !strings.Contains(auto.str("why"), "quota is 2 ") {
			t.Errorf("%s", auto.line)
		}
	})

	t.Run("orphans", func(t *testing.T) {
		t.Parallel()
		name, m := d.run(t, "--log-level", "debug", "/plain")
		m.reapsOrphans(t, "/orphans", d.pid(t, name))
	})

	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		name, m := d.run(t, "agent-server", "-debug")
		if err := syscall.Kill(children(t, d.pid(t, name))[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		m.wait(t, 0, "worker crashed", match{"status": "killed by SIGKILL"})
		m.wait(t, 0, "worker ready", match{"worker": 3})
		answer, body, err := m.get("/debug/leak?mb=1000")
		if err == nil {
			t.Errorf("%s %s", answer.Status, body)
		}
		crash := m.wait(t, 0, "worker crashed", match{"status": "out of memory (killed by SIGKILL)"})
		m.wait(t, 0, "worker ready", match{"slot": crash.str("slot"), "worker": 4})
		if answer, _, err := m.get("/health"); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("%v %v", answer, err)
		}
	})
}

// oomScore is the oom_score_adj of a process.
func oomScore(t *testing.T, pid int) int {
	t.Helper()
	score, err := strconv.Atoi(strings.TrimSpace(read(t, fmt.Sprintf("/proc/%d/oom_score_adj", pid))))
	if err != nil {
		t.Fatal(err)
	}
	return score
}

// inFlight begins a request that takes two seconds, and returns when a worker has
// it.
func (d *engine) inFlight(t *testing.T, m *master) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", m.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(testTimeout))
	const body = `{"prompt":"hello","tokens":10,"delay":"200ms"}`
	// The handler asks for the body.
	fmt.Fprintf(conn, "POST /agent HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
	answer := make([]byte, len(goOn))
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != goOn {
		t.Fatalf("%q %v", answer, err)
	}
	io.WriteString(conn, body)
	return conn
}
