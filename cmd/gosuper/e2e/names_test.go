//go:build linux

package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listNames prints what Gunicorn and uvicorn are configured by: the names of
// their settings, each with its options.
const listNames = `
import json, gunicorn.config, uvicorn
gunicorn = {s.name: s.cli or [] for s in gunicorn.config.KNOWN_SETTINGS}
uvicorn = {p.name: [o for o in p.opts + p.secondary_opts if o.startswith("-")] for p in uvicorn.main.params}
print(json.dumps([gunicorn, uvicorn]))
`

// Whatever people write who come from Gunicorn or uvicorn, they are told what it
// is here: each option, key and variable of the versions in the virtual
// environment.
func TestForeignNames(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), filepath.Join(venv(t), "bin", "python"), "-c", listNames).Output()
	if err != nil {
		t.Fatalf("cannot list the settings of Gunicorn and uvicorn: %v", err)
	}
	var tools []map[string][]string
	if err := json.Unmarshal(out, &tools); err != nil || len(tools) != 2 || len(tools[0]) < 90 || len(tools[1]) < 40 {
		t.Fatalf("%v: %s", err, out)
	}
	file := filepath.Join(t.TempDir(), "supervisor.toml")
	p := person{t: t}
	var text strings.Builder
	same := map[string]bool{} // flags that gosuper has too
	for i, tool := range tools {
		for _, name := range slices.Sorted(maps.Keys(tool)) {
			if i == 0 || tools[0][name] == nil {
				text.WriteString(name + " = \"x\"\n")
			}
			for _, option := range tool[name] {
				p.env = nil
				_, stderr, _ := p.does(option)
				message, hint, _ := strings.Cut(stderr, "\n")
				if !strings.Contains(message, "unknown") {
					same[strings.ReplaceAll(strings.TrimPrefix(option, "--"), "-", "_")] = true
					continue
				}
				if !strings.HasPrefix(hint, "gosuper: hint: ") || strings.Contains(hint, "see gosuper --help") || strings.Contains(hint, "did you mean") {
					t.Errorf("%s: %s", option, stderr)
				}
				variable := "UVICORN_" + strings.ToUpper(name)
				if i == 0 || !strings.Contains(hint, "here it is") {
					continue
				}
				p.env = []string{variable + "=1"}
				if _, stderr, _ := p.does("--check-config", "true"); !strings.Contains(stderr, "gosuper: warning: "+variable+" is not read by gosuper: here it is ") {
					t.Errorf("%s: %s", variable, stderr)
				}
			}
		}
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = nil
	_, stderr, _ := p.does("-c", file, "--check-config", "true")
	lines := strings.Split(stderr, "\n")
	if len(lines) < 100 {
		t.Fatalf("few errors: %s", stderr)
	}
	for i, line := range lines {
		place, unknown := strings.CutSuffix(line, ": is not a key")
		if !unknown {
			continue
		}
		name := place[strings.LastIndexByte(place, ' ')+1:]
		if !strings.HasPrefix(lines[i+1], "gosuper: hint: ") || strings.Contains(lines[i+1], "did you mean") && !same[name] {
			t.Errorf("no answer: %s\n%s", line, lines[i+1])
		}
	}
}
