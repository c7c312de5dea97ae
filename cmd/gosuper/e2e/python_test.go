//go:build linux

package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The Python package has tests of its own, with this gosuper as the master.
const pythonPackage = repository + "/worker/python"

// leftOut is what pytest says of a test that it has skipped.
var leftOut = regexp.MustCompile(`(?m)^SKIPPED \[\d+\] (.+?): (.+)$`)

func TestPython(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for a minute")
	}
	t.Parallel()
	files, err := filepath.Glob(pythonPackage + "/tests/test_*.py")
	if err != nil || len(files) == 0 {
		t.Fatal("no tests", err)
	}
	pytest := filepath.Join(pythonVenv(t), "bin", "pytest")
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".py"), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), pytest, "-q", "-rs", "-p", "no:cacheprovider", filepath.Join("tests", filepath.Base(file)))
			cmd.Dir = pythonPackage
			cmd.Env = append(os.Environ(), "TEST_GOSUPER="+gosuper, "PYTHONDONTWRITEBYTECODE=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("pytest: %v\n%s", err, out)
			}
			for _, skip := range leftOut.FindAllStringSubmatch(string(out), -1) {
				t.Run(skip[1], func(t *testing.T) { t.Skip(skip[2]) })
			}
		})
	}
}

// pythonVenv returns a virtual environment with what the Python package is tested with.
func pythonVenv(t *testing.T) string {
	t.Helper()
	return required(t, "TEST_PYTHON", pythonPackage, "pytest", "uvicorn")
}

// required returns a virtual environment with what the requirements.txt of a folder
// lists, and so with these programs: the one that a variable names, else one in the
// user's cache folder.
func required(t *testing.T, variable, folder string, programs ...string) string {
	t.Helper()
	requirements := filepath.Join(folder, "requirements.txt")
	text, err := os.ReadFile(requirements)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s-%.4x", filepath.Base(folder), sha256.Sum256(text))
	return virtual(t, variable, name, programs, "-r", requirements)
}
