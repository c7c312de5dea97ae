//go:build linux

package systemd

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// rootName is the variable that names the root of a system with systemd 253 or
// later; "/" will do on a recent distribution. Without it one is made in the
// user's cache folder, where it stays.
const rootName = "TEST_SYSTEMD_ROOT"

// insideName is the variable in which the test binary finds that it is inside.
const insideName = "SYSTEMD_TEST_INSIDE"

func TestMain(m *testing.M) {
	if os.Getenv(insideName) != "" {
		os.Exit(inside())
	}
	os.Exit(m.Run())
}

// boot starts a systemd of its own on top of a root that it does not change, and
// ends with it. $1 is the root, $2 a folder for what is written, $3 what is shared
// as /opt/gs, $4 the units.
const boot = `set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
root=$2/root
mkdir -p "$root/etc/gosuper" "$root/usr/local/bin" "$root/opt/gs"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
cp "$4/gosuper.service" "$4/gosuper.socket" "$3/test.service" "$root/etc/systemd/system/"
cp "$3/supervisor.toml" "$root/etc/gosuper/"
cp "$3/gosuper" "$3/agent-server" "$root/usr/local/bin/"
shared=$3
shift 4
exec env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn -D "$root" --boot --register=no --private-network --machine=gosuper-test-$$ \
	--console=pipe --link-journal=no --bind="$shared:/opt/gs" "$@" systemd.unit=test.service`

// testService runs the checks, and shuts down.
const testService = `[Unit]
DefaultDependencies=yes
Wants=dbus.socket
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
Environment=` + insideName + `=yes
ExecStart=/opt/gs/inside
StandardOutput=file:/opt/gs/results
`

// The units do what their comments say, under a real systemd.
func TestUnits(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a system")
	}
	if os.Getuid() != 0 {
		t.Skip("only root can boot a system")
	}
	for _, tool := range []string{"unshare", "systemd-nspawn"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	root := systemdRoot(t)
	shared := prepare(t)

	before := payloads()
	t.Cleanup(func() { removePayloads(t, before) })

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	args := []string{"--mount", "--propagation", "unchanged", "sh", "-c", boot, "sh", root, t.TempDir(), shared, "."}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		args = append(args, "--keep-unit") // there is nobody to make a scope
	}
	begin := time.Now()
	console, err := exec.CommandContext(ctx, "unshare", args...).CombinedOutput()
	t.Logf("%v from boot to end", time.Since(begin).Round(time.Millisecond))
	if err != nil {
		t.Errorf("%v\n%s", err, console)
	}
	results, err := os.Open(filepath.Join(shared, "results"))
	if err != nil {
		t.Fatalf("%v\n%s", err, console)
	}
	defer results.Close()
	checks := 0
	for d := json.NewDecoder(results); ; checks++ {
		var r result
		if err := d.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		t.Run(r.Name, func(t *testing.T) {
			t.Logf("%v\n%s", r.Took.Round(time.Millisecond), r.Text)
			if r.Failed {
				t.Fail()
			}
		})
	}
	if checks == 0 {
		t.Errorf("no results\n%s", console)
	}
}

// prepare makes the folder that is shared with the inside.
func prepare(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"cmd/gosuper", "examples/agent-server"} {
		cmd := exec.Command("go", "build", "-o", dir+"/", "github.com/gosuper/gosuper/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("cannot build %s: %v\n%s", name, err, out)
		}
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	config := read(t, "supervisor.toml")
	if !bytes.Contains(config, []byte(`agent-server"]`)) {
		t.Fatal("another command in supervisor.toml")
	}
	for name, text := range map[string][]byte{
		"inside":          self,
		"hardening.conf":  read(t, "gosuper.service.d/hardening.conf"),
		"test.service":    []byte(testService),
		"supervisor.toml": bytes.Replace(config, []byte(`agent-server"]`), []byte(`agent-server", "-debug"]`), 1),
	} {
		mode := os.FileMode(0o644)
		if name == "inside" {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// systemdRoot is the root of a system with a systemd that is new enough.
func systemdRoot(t *testing.T) string {
	t.Helper()
	if root := os.Getenv(rootName); root != "" {
		return root
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	root := filepath.Join(cache, "gosuper-e2e", "trixie")
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		t.Skip(err)
	}
	lock, err := os.Create(root + ".lock")
	if err != nil {
		t.Skip(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); err == nil {
		return root
	}
	made, err := os.MkdirTemp(filepath.Dir(root), "trixie")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(made)
	out, err := exec.Command("mmdebstrap", "--quiet", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,procps", "trixie", made).CombinedOutput()
	if err != nil {
		t.Skipf("cannot make a Debian with systemd: %v\n%s", err, out)
	}
	if err := os.Rename(made, root); err != nil {
		t.Fatal(err)
	}
	return root
}

// payloads are the control groups that systemd-nspawn makes beside each other when
// it is not given one of its own, and leaves.
func payloads() map[string]bool {
	found := map[string]bool{}
	// One that goes away meanwhile is not missed.
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if name := filepath.Base(path); err == nil && d.IsDir() && (name == "payload" || name == "supervisor") {
			found[path] = true
		}
		return nil
	})
	return found
}

// removePayloads removes those that were not there before. They are empty by now.
func removePayloads(t *testing.T, before map[string]bool) {
	for path := range payloads() {
		if before[path] {
			continue
		}
		var all []string
		_ = filepath.WalkDir(path, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		for _, group := range slices.Backward(all) {
			if err := syscall.Rmdir(group); err != nil {
				t.Errorf("something runs on in %s: %v", group, err)
			}
		}
	}
}
