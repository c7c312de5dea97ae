//go:build linux

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// importPython makes the image that the FastAPI example begins with: a Debian with
// Python, from which pip reaches its registry as from here. Debian's Python is older
// than the one that the Dockerfile names.
func (d *engine) importPython(t *testing.T) {
	t.Helper()
	text := read(t, examples+"/fastapi/Dockerfile")
	base := regexp.MustCompile(`(?m)^FROM (python:\S+)$`).FindStringSubmatch(text)
	if base == nil {
		t.Fatal("the Dockerfile does not begin with an image of Python")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	root := filepath.Join(cache, "gosuper-e2e", "bookworm-python.tar")
	if _, err := os.Stat(root); err != nil {
		made := d.file("python.tar")
		cmd := exec.Command(need(t, "mmdebstrap"), "--quiet", "--variant=minbase", "--include=ca-certificates,python3,python3-venv",
			`--customize-hook=cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"`,
			`--customize-hook=printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$1/etc/pip.conf"`, "bookworm", made)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("cannot make a Debian with Python: %v\n%s", err, out)
		}
		if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mv", made, root).CombinedOutput(); err != nil { // perhaps to another file system
			t.Fatalf("%v\n%s", err, out)
		}
	}
	d.do(t, "import", root, base[1])
}

// The image of the example serves as a user without rights on a file system that
// cannot be written, is healthy, reloads and stops.
func TestFastAPIImage(t *testing.T) {
	if testing.Short() {
		t.Skip("builds an image")
	}
	t.Parallel()
	needRoot(t)
	d := startDocker(t)
	d.importPython(t)
	d.build(t, "fastapi-agent", "fastapi/Dockerfile")
	model := serveHandler(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := `{"id":"1","object":"chat.completion","created":1,"model":"small","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"from here"}}]}`
		if strings.HasSuffix(r.URL.Path, "/models") {
			answer = `{"object":"list","data":[]}`
		}
		w.Write([]byte(answer))
	})

	address := freePort(t)
	words := []string{
		"docker", "run", "--rm", "--pull=never", "--name", "agent", "--network=host", "--env", markName, "--memory-swap=2g",
		"--health-interval=1s", "--env", "OPENAI_BASE_URL=" + model, "--env", "MODEL_MIB=16", "--env", "MODEL_SECONDS=0",
	}
	compose := read(t, examples+"/fastapi/compose.yaml")
	for line, flag := range map[string]string{
		"read_only: true":                          "--read-only",
		"cap_drop: [ALL]":                          "--cap-drop=ALL",
		`security_opt: ["no-new-privileges:true"]`: "--security-opt=no-new-privileges",
		"mem_limit: 2g":                            "--memory=2g",
		"cpus: 2":                                  "--cpus=2",
		"pids_limit: 512":                          "--pids-limit=512",
	} {
		if !strings.Contains(compose, "\n    "+line+"\n") {
			t.Errorf("compose.yaml does not say %q", line)
		}
		words = append(words, flag)
	}
	m := start(t, launch{whole: append(words, "fastapi-agent", "-b", address), env: d.environ()})
	m.wait(t, 0, "ready", nil)

	if pid := m.wait(t, 0, "starting", nil).num("pid"); pid != 1 {
		t.Errorf("the master is process %d", pid)
	}
	for _, pid := range append(children(t, d.pid(t, "agent")), d.pid(t, "agent")) {
		if s := status(pid); !strings.HasPrefix(s["Uid"], "65532\t") || s["CapEff"] != "0000000000000000" {
			t.Errorf("process %d: user %s, capabilities %s", pid, s["Uid"], s["CapEff"])
		}
	}
	eventually(t, "the container is healthy", func() bool {
		return d.do(t, "inspect", "--format", "{{.State.Health.Status}}", "agent") == "healthy"
	})
	ask := func() string {
		t.Helper()
		answer, err := http.Post("http://"+address+"/agent", "application/json", strings.NewReader(`{"prompt":"hello"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var said struct{ Answer string }
		if err := json.NewDecoder(answer.Body).Decode(&said); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer.Status, err)
		}
		return said.Answer
	}
	if said := ask(); said != "from here" {
		t.Errorf("the agent says %q", said)
	}
	if answer, body, err := m.get("/health/ready"); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("/health/ready: %s, %v", body, err)
	}
	d.do(t, "exec", "agent", "gosuper", "reload", "--wait")
	ask()
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
