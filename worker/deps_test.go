package worker

import (
	"os/exec"
	"strings"
	"testing"
)

// TestDependencies keeps a user's program free of everything that the master needs:
// the package costs the standard library and golang.org/x/sys.
func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/gosuper/gosuper/worker"
	for _, path := range strings.Fields(string(out)) {
		if path != module && !strings.HasPrefix(path, module+"/") && !strings.HasPrefix(path, "golang.org/x/sys/") {
			t.Errorf("depends on %s", path)
		}
	}
}
