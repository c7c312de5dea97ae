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
	const module = "github.com/gosuper/gosuper/"
	allowed := map[string]bool{
		module + "worker":            true,
		module + "worker/protocol":   true,
		module + "worker/scoreboard": true,
	}
	for _, path := range strings.Fields(string(out)) {
		if !allowed[path] && !strings.HasPrefix(path, "golang.org/x/sys/") {
			t.Errorf("depends on %s", path)
		}
	}
}
