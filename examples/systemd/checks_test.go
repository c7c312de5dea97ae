//go:build linux

package systemd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// verify: systemd-analyze exits with 0 on keys it does not know, but it says so.
func verify(c *check) {
	for _, unit := range []string{service, "gosuper.socket"} {
		if said := c.run("systemd-analyze", "verify", "--man=no", units+unit); said != "" {
			c.errorf("%s: %s", unit, said)
		}
	}
}

// security is the exposure, with the hardening and without it.
func security(c *check) {
	score := func() (exposure string) {
		lines := strings.Split(c.run("systemd-analyze", "security", "--offline=true", "--no-pager", units+service), "\n")
		exposure = lines[len(lines)-1]
		c.logf("%s", exposure)
		return exposure
	}
	score()
	harden(c)
	defer soften(c)
	_, rest, _ := strings.Cut(score(), ": ")
	if words := strings.Fields(rest); len(words) == 0 || len(words[0]) != 3 || words[0] > "1.9" {
		c.errorf("a hardened service should be below 2.0")
	}
}

// harden installs the drop-in; soften takes it away again.
func harden(c *check) {
	text, err := os.ReadFile("/opt/gs/hardening.conf")
	c.must(err)
	c.must(os.MkdirAll(dropIns, 0o755))
	c.must(os.WriteFile(dropIns+"hardening.conf", text, 0o644))
	c.run("systemctl", "daemon-reload")
}

func soften(c *check) {
	c.must(os.RemoveAll(dropIns))
	c.run("systemctl", "daemon-reload")
}

// starts: when systemctl start returns the workers are ready.
func starts(c *check) {
	c.run("systemctl", "start", service)
	c.want("StatusText", "2 workers ready, generation 1")
	c.want("NFileDescriptorStore", "1")
	c.get("/health")
	c.logf("%s", c.run("systemctl", "--no-pager", "--lines=0", "status", service))
}

// reloads: when systemctl reload returns the reload is over, also one that failed.
func reloads(c *check) {
	old := c.get("/health")
	c.run("systemctl", "reload", service)
	c.want("StatusText", "2 workers ready, generation 2")
	c.want("ActiveState", "active")
	for range 20 {
		if c.get("/health") == old {
			c.errorf("worker %d is from before the reload", old)
		}
	}
	good, err := os.ReadFile(file)
	c.must(err)
	c.must(os.WriteFile(file, append(good, "nonsense = 1\n"...), 0o644))
	c.run("systemctl", "reload", service)
	c.must(os.WriteFile(file, good, 0o644))
	if text := c.show("StatusText"); !strings.HasPrefix(text, "2 workers ready, generation 2; reload refused: ") || !strings.Contains(text, "nonsense") {
		c.errorf("status after a mistake in the file: %q", text)
	}
	c.run("systemctl", "reload", service)
	c.want("StatusText", "2 workers ready, generation 3")
}

// upgrades: for systemd nothing happens, and the next version goes on with what
// the last one owed it.
func upgrades(c *check) {
	c.install("WatchdogSec=2")
	upgrade(c)
	c.run("systemctl", "reload", service)
	c.want("StatusText", "2 workers ready, generation 2")
	time.Sleep(3 * time.Second) // longer than a watchdog waits that nobody answers
	c.want("ActiveState", "active")
	c.want("NRestarts", "0")
	c.want("NFileDescriptorStore", "1")
}

// upgrade puts another gosuper in the place of the one that runs, which becomes it.
func upgrade(c *check) {
	const program = "/usr/local/bin/gosuper"
	master, inode := c.number("MainPID"), c.run("stat", "--format=%i", program)
	before := c.run("pgrep", "--parent", fmt.Sprint(master))
	c.run("cp", program, program+".new")
	c.run("mv", program+".new", program)
	c.logf("%s", c.run(program, "upgrade"))
	if now := c.run("stat", "--dereference", "--format=%i", fmt.Sprintf("/proc/%d/exe", master)); now == inode {
		c.errorf("process %d is still the old program", master)
	}
	if after := c.run("pgrep", "--parent", fmt.Sprint(master)); c.number("MainPID") != master || after != before {
		c.errorf("the workers of process %d were %q, and those of process %d are %q", master, before, c.number("MainPID"), after)
	}
	c.get("/health")
}

// extends: gosuper's own deadlines count, where they are later than systemd's.
func extends(c *check) {
	c.install("TimeoutStopSec=1")
	conn, err := net.Dial("tcp", strings.TrimPrefix(site, "http://"))
	c.must(err)
	defer conn.Close()
	// The server asks for the body once the request is in the hands of a worker,
	// which then has to wait for it.
	body := `{"prompt":"hello"}`
	fmt.Fprintf(conn, "POST /agent HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	answers := bufio.NewReader(conn)
	line, err := answers.ReadString('\n')
	if err != nil || !strings.Contains(line, "100 Continue") {
		c.errorf("%q, %v", line, err)
	}
	begin := time.Now()
	time.AfterFunc(2500*time.Millisecond, func() { io.WriteString(conn, body) })
	c.run("systemctl", "stop", service)
	if took := time.Since(begin); took < 2500*time.Millisecond {
		c.errorf("stopped after %v, with a request in flight for longer", took)
	}
	answers.ReadString('\n') // the end of the first answer
	answer, err := http.ReadResponse(answers, nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		c.errorf("the answer is %v, %v", answer, err)
	}
	c.want("Result", "success")
	c.want("NFileDescriptorStore", "0")
}

// crashes: the sockets are there while there is no master, and who comes in
// between is answered by the next one.
func crashes(c *check) {
	c.install("RestartSec=1")
	for range 2 {
		master, restarts := c.number("MainPID"), c.number("NRestarts")
		c.must(syscall.Kill(master, syscall.SIGKILL))
		c.await("the master is gone", func() bool { return c.show("MainPID") == "0" })
		c.want("NFileDescriptorStore", "1")
		begin := time.Now()
		c.get("/health")
		c.logf("answered %v after a connection without a master", time.Since(begin).Round(time.Millisecond))
		if n := c.number("NRestarts"); n != restarts+1 {
			c.errorf("%d restarts, before %d", n, restarts)
		}
		c.await("it is ready again", func() bool { return c.show("StatusText") == "2 workers ready, generation 1" })
		c.want("NFileDescriptorStore", "1")
	}
}

// watchdog: a master that hangs is killed and started again.
func watchdog(c *check) {
	c.install("WatchdogSec=1\nTimeoutAbortSec=2")
	master := c.number("MainPID")
	c.must(syscall.Kill(master, syscall.SIGSTOP))
	begin := time.Now()
	c.get("/health") // a worker, or the next one
	c.await("another master runs", func() bool { pid := c.number("MainPID"); return pid != 0 && pid != master })
	c.await("it is ready", func() bool { return c.show("ActiveState") == "active" })
	c.logf("the next master was ready after %v", time.Since(begin).Round(time.Millisecond))
	if text := c.run("journalctl", "--no-pager", "--unit="+service, "--grep=Watchdog timeout"); text == "" {
		c.errorf("it was not the watchdog")
	}
	c.get("/health")
}

// before253 is the service as the comment in it says for older versions.
func before253(c *check) {
	text, err := os.ReadFile(units + service)
	c.must(err)
	defer func() {
		c.must(os.WriteFile(units+service, text, 0o644))
		c.run("systemctl", "daemon-reload")
	}()
	older := strings.NewReplacer("#Type=notify\n#ExecReload=", "Type=notify\nExecReload=", "Type=notify-reload\n", "").Replace(string(text))
	c.must(os.WriteFile(units+service, []byte(older), 0o644))
	verify(c)
	c.install("")
	c.want("Type", "notify")
	c.run("systemctl", "reload", service)
	c.await("it is reloaded", func() bool { return c.show("StatusText") == "2 workers ready, generation 2" })
	c.want("ActiveState", "active")
}

// hardened: as a user without any privilege, in a file system that is read-only.
func hardened(c *check) {
	harden(c)
	defer soften(c)
	verify(c)
	c.install("RestartSec=100ms")
	master := c.number("MainPID")
	for _, pid := range []int{master, c.get("/health")} {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		c.must(err)
		for line := range strings.Lines(string(status)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
			switch {
			case key == "Uid" && strings.HasPrefix(value, "0\t"),
				key == "CapEff" && value != "0000000000000000",
				key == "NoNewPrivs" && value != "1":
				c.errorf("process %d has %s", pid, line)
			}
		}
		var root syscall.Statfs_t
		c.must(syscall.Statfs(fmt.Sprintf("/proc/%d/root/etc", pid), &root))
		if root.Flags&syscall.MS_RDONLY == 0 {
			c.errorf("process %d may write to /etc", pid)
		}
	}
	c.run("systemctl", "reload", service)
	c.want("StatusText", "2 workers ready, generation 2")
	if status := c.run("/usr/local/bin/gosuper", "status", "--json"); !strings.Contains(status, fmt.Sprint(master)) {
		c.errorf("root does not see the master %d: %s", master, status)
	}
	upgrade(c)
	c.must(syscall.Kill(master, syscall.SIGKILL))
	c.await("the master is gone", func() bool { return c.number("MainPID") != master })
	c.get("/health")
	if text := c.run("journalctl", "--no-pager", "--unit="+service, "--output=cat", "--invocation=0"); strings.Contains(text, `"level":"warn"`) || strings.Contains(text, `"level":"error"`) {
		c.errorf("gosuper complains: %s", text)
	}
}

// activated: the socket unit's sockets win over bind, and a restart of the
// service loses nobody.
func activated(c *check) {
	c.must(os.WriteFile(file, []byte(strings.Replace(c.run("cat", file), "127.0.0.1:8000", "127.0.0.1:1", 1)), 0o644))
	c.must(os.RemoveAll(runtimeIn))
	c.run("systemctl", "daemon-reload")
	c.run("systemctl", "stop", service)
	c.run("systemctl", "start", "gosuper.socket")
	c.want("ActiveState", "inactive")
	worker := c.get("/health") // the first that is ready, which is before all are
	c.await("all are ready", func() bool { return c.show("ActiveState") == "active" })
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", worker))
	c.must(err)
	if !strings.Contains(string(environ), "\x00LISTEN_FDNAMES=web\x00") {
		c.errorf("a worker is given %q", environ)
	}
	c.want("NFileDescriptorStore", "0")
	stop, lost, sent := make(chan struct{}), make(chan error, 1), 0
	go func() {
		for {
			select {
			case <-stop:
				close(lost)
				return
			default:
			}
			if _, err := get("/health"); err != nil {
				lost <- err
				return
			}
			sent++
		}
	}()
	c.run("systemctl", "restart", service)
	close(stop)
	if err := <-lost; err != nil {
		c.errorf("lost: %v", err)
	}
	c.logf("%d requests, one after the other, during a restart", sent)
	c.run("systemctl", "stop", "gosuper.socket", service)
}
