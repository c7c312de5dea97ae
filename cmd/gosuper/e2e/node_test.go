//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// TestNode runs the tests of the Node package, with this gosuper as the master, on the
// node that is installed and on later versions.
func TestNode(t *testing.T) {
	if testing.Short() {
		t.Skip("starts fleets of Node")
	}
	t.Parallel()
	for _, version := range []string{"installed", "22", "24"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			node := nodeOf(t, version)
			cmd := exec.CommandContext(t.Context(), node, "--test")
			cmd.Dir = repository + "/worker/node"
			cmd.Env = append(os.Environ(), "TEST_GOSUPER="+gosuper)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s --test: %v\n%s", node, err, out)
			}
		})
	}
}

// nodeOf returns the program of a version of Node. Those that are not installed npm has:
// they are in the folder that TEST_NODES names, else in one in the user's cache folder,
// where they stay.
func nodeOf(t *testing.T, version string) string {
	t.Helper()
	if version == "installed" {
		node, err := exec.LookPath("node")
		if err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
		return node
	}
	dir := os.Getenv("TEST_NODES")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		dir = filepath.Join(cache, "gosuper-e2e", "nodes")
	}
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	name := "node-linux-" + arch
	prefix := filepath.Join(dir, version)
	node := filepath.Join(prefix, "node_modules", name, "bin", "node")
	if _, err := os.Stat(node); err == nil {
		return node
	}
	npm := need(t, "npm")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Skip(err)
	}
	fresh, err := os.MkdirTemp(dir, version+"-")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(fresh)
	if out, err := exec.Command(npm, "install", "--prefix", fresh, "--no-audit", "--no-fund", "--ignore-scripts", name+"@"+version).CombinedOutput(); err != nil {
		t.Skipf("cannot install Node %s: %v\n%s", version, err, out)
	}
	if err := os.Rename(fresh, prefix); err != nil {
		if _, there := os.Stat(node); there != nil { // by a test beside this one
			t.Skip(err)
		}
	}
	return node
}
