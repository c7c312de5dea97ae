//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// repository is the folder of everything.
const repository = "../../.."

// confined is what the example's compose file says of the container, and how the
// same is said to docker run.
var confined = map[string]string{
	"read_only: true":                          "--read-only",
	"cap_drop: [ALL]":                          "--cap-drop=ALL",
	`security_opt: ["no-new-privileges:true"]`: "--security-opt=no-new-privileges",
	"mem_limit: 512m":                          "--memory=512m",
	"cpus: 2":                                  "--cpus=2",
	"pids_limit: 512":                          "--pids-limit=512",
}

// The image of the example does the duties of PID 1, as a user without rights on a
// file system that cannot be written.
func TestDocker(t *testing.T) {
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
		if auto := m.wait(t, 0, "workers = auto", nil); auto.num("workers") != 2 || !strings.Contains(auto.str("why"), "quota is 2 ") {
			t.Errorf("%s", auto.line)
		}
	})

	t.Run("orphans", func(t *testing.T) {
		t.Parallel()
		name, m := d.run(t, "--log-level", "debug", "/plain")
		for range 10 {
			if answer, body, err := m.get("/orphans"); err != nil || answer.StatusCode != http.StatusOK {
				t.Fatalf("%v %s", err, body)
			}
		}
		reaped := 0
		m.await(t, "50 orphans reaped", func() bool {
			reaped = 0
			for _, e := range m.all(0, "reaped orphans", nil) {
				reaped += e.num("count")
			}
			return reaped >= 50
		})
		if left := children(t, d.pid(t, name)); len(left) != 2 {
			t.Errorf("children of the master: %v, want two workers", left)
		}
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

// engine is a docker daemon of the test's own.
type engine struct {
	dir string // of all its files
}

func startDocker(t *testing.T) *engine {
	t.Helper()
	daemon := need(t, "dockerd")
	need(t, "docker")
	dir, err := os.MkdirTemp("", "gosuper-docker")
	if err != nil {
		t.Fatal(err)
	}
	d := &engine{dir: dir}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(daemon, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--host", d.host(), "--pidfile", filepath.Join(dir, "pid"), "--iptables=false", "--ip6tables=false", "--bridge=none")
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		err := <-exited
		if err != nil || t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("dockerd: %v\n%s", err, text)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "docker answers", func() bool {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("dockerd ended: %v", err)
		default:
		}
		return d.command("version").Run() == nil
	})
	return d
}

// plain is the program in testdata, for a worker of which the image knows nothing.
func (d *engine) plain() string { return filepath.Join(d.dir, "plain") }

func (d *engine) host() string { return "unix://" + filepath.Join(d.dir, "s") }

// command is docker with these arguments.
func (d *engine) command(args ...string) *exec.Cmd {
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), d.environ()...)
	return cmd
}

// environ leads docker to this engine, and to the builder that needs no plugin.
func (d *engine) environ() []string { return []string{"DOCKER_HOST=" + d.host(), "DOCKER_BUILDKIT=0"} }

// do runs docker and returns what it says on stdout.
func (d *engine) do(t *testing.T, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := d.command(args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// buildImage builds the image "agent" by the example's Dockerfile. There is no
// registry to take Go from, so its command that compiles is run here, and what it
// makes stands for the first stage.
func (d *engine) buildImage(t *testing.T) {
	t.Helper()
	first, last, ok := strings.Cut(read(t, examples+"/docker/Dockerfile"), "\nFROM scratch\n")
	base := regexp.MustCompile(`(?m)^FROM (\S+) AS build$`).FindStringSubmatch(first)
	compile := regexp.MustCompile(`(?m)^RUN (.* go build .*)$`).FindStringSubmatch(first)
	if !ok || base == nil || compile == nil {
		t.Fatal("the Dockerfile has not the stages that are known here")
	}
	stage := filepath.Join(d.dir, "stage")
	certificates := filepath.Join(stage, "etc/ssl/certs/ca-certificates.crt")
	if err := os.MkdirAll(filepath.Dir(certificates), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		replace(t, compile[1], "-o /out/", "-o "+stage+"/out/"),
		"CGO_ENABLED=0 go build -o " + d.plain() + " ./cmd/gosuper/e2e/testdata/plain", // without a dynamic loader
	} {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = repository
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	for name, text := range map[string]string{
		certificates: "none\n", filepath.Join(stage, "Dockerfile"): "FROM scratch\nCOPY etc /etc\nCOPY out /out\n",
		filepath.Join(d.dir, "Dockerfile"): base[0] + "\nFROM scratch\n" + last,
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d.do(t, "build", "-q", "-t", base[1], stage)
	d.do(t, "build", "-q", "-t", "agent", "-f", filepath.Join(d.dir, "Dockerfile"), repository)
	var image []struct {
		Size   int64
		Config struct{ User string }
	}
	if err := json.Unmarshal([]byte(d.do(t, "inspect", "agent")), &image); err != nil || len(image) != 1 {
		t.Fatal(err)
	}
	t.Logf("the image has %.1f MiB", float64(image[0].Size)/(1<<20))
	if image[0].Config.User != "65532:65532" {
		t.Errorf("the user is %q", image[0].Config.User)
	}
}

// run starts a container with these arguments of gosuper, as the compose file has
// it, and waits until it is ready.
func (d *engine) run(t *testing.T, args ...string) (name string, m *master) {
	t.Helper()
	compose := read(t, examples+"/docker/compose.yaml")
	dir := t.TempDir() // the same inside, for the socket
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	name = "agent-" + strconv.FormatInt(marks.Add(1), 10)
	words := []string{
		"docker", "run", "--rm", "--pull=never", "--name", name, "--network=none", "--env", markName,
		"--health-interval=1s", "--health-timeout=1s", "--health-start-period=0s",
		"--volume", dir + ":" + dir, "--volume", d.plain() + ":/plain:ro",
	}
	for line, flag := range confined {
		if !strings.Contains(compose, "\n    "+line+"\n") {
			t.Errorf("compose.yaml does not say %q", line)
		}
		words = append(words, flag)
	}
	words = append(words, "agent", "--bind", "unix:"+filepath.Join(dir, "s"))
	m = start(t, launch{whole: append(words, args...), env: d.environ()})
	m.wait(t, 0, "ready", nil)
	return name, m
}

// pid is the master's process, seen from here.
func (d *engine) pid(t *testing.T, name string) int {
	t.Helper()
	pid, err := strconv.Atoi(d.do(t, "inspect", "--format", "{{.State.Pid}}", name))
	if err != nil {
		t.Fatal(err)
	}
	return pid
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
	conn.SetDeadline(time.Now().Add(patience))
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
