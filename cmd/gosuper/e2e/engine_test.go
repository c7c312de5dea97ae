//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
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

// engine is a docker daemon of the test's own.
type engine struct {
	dir string // of all its files
}

func startDocker(t *testing.T) *engine {
	t.Helper()
	docker, containerd := need(t, "dockerd"), need(t, "containerd")
	need(t, "docker")
	dir, err := os.MkdirTemp("", "gosuper-docker")
	if err != nil {
		t.Fatal(err)
	}
	d := &engine{dir: dir}
	log, err := os.Create(d.file("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("dockerd and containerd say\n%s", text)
		}
		// The host's network, if a container had it, stays mounted there.
		_ = syscall.Unmount(d.file("exec/netns/default"), 0)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	// Left to itself dockerd takes the containerd of the machine, if there is one,
	// and with it the containers of another dockerd.
	if err := os.WriteFile(d.file("containerd.toml"), []byte("version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	containers := d.file("containerd.sock")
	runs := exec.Command(containerd, "--config", d.file("containerd.toml"), "--root", d.file("containerd"), "--state", d.file("containers"), "--address", containers)
	runs.Stderr = log
	daemon(t, runs, func() bool { return listens(containers) })
	serves := exec.Command(docker, "--data-root", d.file("data"), "--exec-root", d.file("exec"), "--containerd", containers,
		"--host", d.host(), "--pidfile", d.file("pid"), "--iptables=false", "--ip6tables=false", "--bridge=none")
	serves.Stderr = log
	daemon(t, serves, func() bool { return d.command("version").Run() == nil })
	return d
}

// file is one of the engine's own.
func (d *engine) file(name string) string { return filepath.Join(d.dir, name) }

// plain is the program in testdata, for a worker of which the image knows nothing.
func (d *engine) plain() string { return d.file("plain") }

func (d *engine) host() string { return "unix://" + d.file("s") }

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

// build builds an image by an example's Dockerfile. There is no registry to take Go
// from, so its command that compiles is run here, and what it makes stands for the
// first stage. Images that other stages begin with must be there.
func (d *engine) build(t *testing.T, image, file string) {
	t.Helper()
	text := read(t, examples+"/"+file)
	base := regexp.MustCompile(`(?m)^FROM (golang:\S+) AS \S+$`).FindStringSubmatch(text)
	compile := regexp.MustCompile(`(?m)^RUN (.* go build .*)$`).FindStringSubmatchIndex(text)
	if base == nil || compile == nil {
		t.Fatal("the Dockerfile has not the stages that are known here")
	}
	stage := d.file(image)
	certificates := filepath.Join(stage, "etc/ssl/certs/ca-certificates.crt")
	if err := os.MkdirAll(filepath.Dir(certificates), 0o755); err != nil {
		t.Fatal(err)
	}
	line := replace(t, text[compile[2]:compile[3]], "-o /out/", "-o "+stage+"/out/")
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = repository
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	for name, text := range map[string]string{
		certificates: "none\n", filepath.Join(stage, "Dockerfile"): "FROM scratch\nCOPY etc /etc\nCOPY out /out\n",
		d.file(image + ".Dockerfile"): base[0] + text[compile[1]:],
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d.do(t, "build", "-q", "-t", base[1], stage)
	d.do(t, "build", "-q", "--network=host", "-t", image, "-f", d.file(image+".Dockerfile"), repository)
}

// buildImage builds the image "agent", and the program that is no part of it.
func (d *engine) buildImage(t *testing.T) {
	t.Helper()
	plain := exec.Command("go", "build", "-o", d.plain(), "./cmd/gosuper/e2e/testdata/plain")
	plain.Dir = repository
	plain.Env = append(os.Environ(), "CGO_ENABLED=0") // without a dynamic loader
	if out, err := plain.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d.build(t, "agent", "docker/Dockerfile")
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
		"--memory-swap=512m", // no swap beside the memory
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
