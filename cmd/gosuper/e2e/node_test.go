//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"testing"
)

// TestNode runs the tests of the Node package, with this gosuper as the master.
func TestNode(t *testing.T) {
	if testing.Short() {
		t.Skip("starts fleets of Node")
	}
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "--test", "test/")
	cmd.Dir = repository + "/worker/node"
	cmd.Env = append(os.Environ(), "TEST_GOSUPER="+gosuper)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("node --test: %v\n%s", err, out)
	}
}
