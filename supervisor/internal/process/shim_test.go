//go:build linux

package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// builds has the programs of testdata, built once in a process. They are
// static, as the released binary is: the dynamic loader alone would take as long
// as the shim.
var (
	buildDir = filepath.Join(os.TempDir(), "process-test-"+strconv.Itoa(os.Getpid()))
	builds   = sync.OnceValue(func() error {
		if err := os.MkdirAll(buildDir, 0o755); err != nil {
			return err
		}
		cmd := exec.Command("go", "build", "-o", buildDir, "./testdata/heavy", "./testdata/empty")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		for _, name := range []string{"heavy", "empty"} {
			if err := install(filepath.Join(buildDir, name)); err != nil {
				return err
			}
		}
		return nil
	})
)

// install writes a file anew, as unpacking or copying it to its place would.
// What the linker maps and fills stays in the page cache in single pages, and
// mapping and unmapping those is a tenth of the shim's time.
func install(path string) error {
	image, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.WriteFile(path, image, 0o755)
}

func build(t testing.TB, name string) string {
	t.Helper()
	if err := builds(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(buildDir, name)
}

// trace runs a program and returns the packages that were initialised in it.
func trace(t *testing.T, path string, env []string) []string {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Env = append(env, "GODEBUG=inittrace=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	var packages []string
	for _, m := range regexp.MustCompile(`(?m)^init (\S+) @`).FindAllSubmatch(stderr.Bytes(), -1) {
		packages = append(packages, string(m[1]))
	}
	return packages
}

// In a binary with all that the real one imports, the shim execs before any of
// it is initialised, syscall and os included.
func TestShimInitialisesFirst(t *testing.T) {
	heavy := build(t, "heavy")
	all := trace(t, heavy, nil)
	for _, name := range []string{"syscall", "os", "net/http", "github.com/spf13/cobra", "github.com/BurntSushi/toml", "go.uber.org/zap", "github.com/prometheus/client_golang/prometheus"} {
		if !slices.Contains(all, name) {
			t.Fatalf("%s does not initialise in testdata/heavy: %q", name, all)
		}
	}
	// Other programs must not become a shim: this one runs to its end, so the
	// trace is cut by the exec alone.
	plan := (&Spec{Path: "/bin/true"}).plan(3)
	first := trace(t, heavy, plan.Environ())
	early := []string{"internal/bytealg", "internal/runtime/gc/scan", "runtime", "crypto/internal/fips140deps/cpu"}
	for _, name := range first {
		if !slices.Contains(early, name) {
			t.Errorf("%s initialises before the shim", name)
		}
	}
	if len(first) == 0 || len(first) > len(all)/2 {
		t.Errorf("%d of %d packages initialised", len(first), len(all))
	}
}

// BenchmarkSpawn compares the time from fork to the worker's own exec, by way
// of the shim in testdata/heavy, with that from fork to main of an empty Go
// program. The latter is the honest measure: until its end it would do more,
// which would flatter the shim. Both are taken in turn; the medians, and the
// median of the ratios, are reported.
func BenchmarkSpawn(b *testing.B) {
	heavy, empty := build(b, "heavy"), build(b, "empty")
	b.ResetTimer()
	out, err := exec.Command(heavy, empty, empty, strconv.Itoa(b.N)).Output()
	if err != nil {
		b.Fatal(err)
	}
	var medians struct{ Shim, Bare, Ratio float64 }
	if err := json.Unmarshal(out, &medians); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(medians.Shim, "ns/shim")
	b.ReportMetric(medians.Bare, "ns/bare")
	b.ReportMetric(medians.Ratio, "shim/bare")
}
