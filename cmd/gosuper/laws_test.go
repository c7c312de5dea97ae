package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The laws of the repository. They hold for all of it, so they look at the
// folder that this one is in.
const (
	root      = "../.."
	module    = "github.com/gosuper/gosuper"
	fileLines = 350
)

// x/sys is what the standard library has no wrapper for, and so is everywhere.
const sys = "golang.org/x/sys"

// mayImport lists what the packages of a folder, and of the folders below it,
// may import besides the standard library, as paths with all that is below
// them; the longest folder that fits decides. Tests may import more of this
// module, but nothing else.
var mayImport = map[string][]string{
	"cmd/gosuper": {
		sys, module + "/config", module + "/supervisor", module + "/worker/proxy",
		"github.com/spf13/cobra", "github.com/spf13/pflag", "go.uber.org/zap", "golang.org/x/term",
	},
	"cmd/gosuper-bench": {sys, module + "/cmd/internal/load", module + "/worker", "github.com/spf13/cobra"},
	"cmd/internal":      {sys},
	"config":            {"github.com/BurntSushi/toml"},
	"supervisor": {
		sys, "go.uber.org/zap", module + "/config", module + "/worker/plain", module + "/worker/protocol", module + "/worker/resident", module + "/worker/scoreboard", module + "/worker/sealed",
		module + "/supervisor/internal", module + "/supervisor/control", module + "/supervisor/admin", module + "/supervisor/files",
	},
	"supervisor/files":          {sys},
	"supervisor/control":        {sys, module + "/supervisor/internal/httpd"},
	"supervisor/admin":          {module + "/supervisor/control", module + "/supervisor/internal/httpd", "github.com/prometheus/client_golang"},
	"supervisor/internal/fleet": {module + "/worker/protocol"},
	"supervisor/internal/archive": {
		sys, "go.uber.org/zap", module + "/config", module + "/supervisor/control", module + "/supervisor/files", module + "/supervisor/internal/incidents", module + "/supervisor/internal/loop",
	},
	"supervisor/internal/boards":    {sys, "go.uber.org/zap", module + "/worker/scoreboard"},
	"supervisor/internal/books":     {module + "/supervisor/control", module + "/supervisor/internal/fleet", module + "/supervisor/internal/history", module + "/supervisor/internal/incidents", module + "/supervisor/internal/tally", module + "/worker/scoreboard"},
	"supervisor/internal/history":   {module + "/worker/scoreboard"},
	"supervisor/internal/incidents": {"go.uber.org/zap", module + "/supervisor/control", module + "/supervisor/internal/fleet", module + "/worker/scoreboard"},
	"supervisor/internal/state":     {},
	"supervisor/internal/process":   {sys, module + "/supervisor/internal/process", module + "/supervisor/internal/terminal"},
	"supervisor/internal/socket":    {sys, module + "/worker/protocol"},
	"supervisor/internal/notify":    {sys, module + "/worker/protocol"},
	"supervisor/internal/manager":   {sys, module + "/supervisor/internal/notify", module + "/worker/protocol"},
	"supervisor/internal/loader":    {sys, module + "/supervisor/internal/notify", module + "/worker/protocol"},
	"supervisor/internal/outfit":    {sys, module + "/config", module + "/supervisor/internal/process", module + "/supervisor/internal/terminal", module + "/worker/protocol"},
	"supervisor/internal/pidfile":   {sys, module + "/supervisor/files"},
	"supervisor/internal/scales":    {module + "/supervisor/control", module + "/supervisor/internal/loop", module + "/supervisor/internal/process"},
	"supervisor/internal/develop": {
		sys, "go.uber.org/zap", module + "/config", module + "/supervisor/internal/filewatch", module + "/supervisor/internal/hint", module + "/supervisor/internal/loop", module + "/supervisor/internal/process",
	},
	"supervisor/internal/output": {module + "/supervisor/internal/process"},
	"supervisor/internal/roster": {
		"go.uber.org/zap", module + "/supervisor/control", module + "/supervisor/internal/boards", module + "/supervisor/internal/fleet", module + "/supervisor/internal/guard", module + "/supervisor/internal/notify", module + "/supervisor/internal/output", module + "/supervisor/internal/process", module + "/supervisor/internal/revision", module + "/supervisor/internal/socket", module + "/supervisor/internal/tally", module + "/worker/scoreboard",
	},
	"supervisor/internal/leftovers": {sys, "go.uber.org/zap", module + "/supervisor/internal/fleet", module + "/supervisor/internal/groups", module + "/supervisor/internal/loop", module + "/supervisor/internal/process", module + "/worker/protocol"},
	"supervisor/internal/preload": {
		sys, "go.uber.org/zap", module + "/config", module + "/supervisor/control", module + "/supervisor/internal/books", module + "/supervisor/internal/fleet", module + "/supervisor/internal/hint", module + "/supervisor/internal/incidents", module + "/supervisor/internal/leftovers",
		module + "/supervisor/internal/loader", module + "/supervisor/internal/logorder", module + "/supervisor/internal/outfit", module + "/supervisor/internal/output", module + "/supervisor/internal/process", module + "/supervisor/internal/revision", module + "/supervisor/internal/roster", module + "/worker/protocol",
	},
	"supervisor/internal/revision": {
		sys, "go.uber.org/zap", module + "/config", module + "/supervisor/files", module + "/supervisor/internal/accesslog", module + "/supervisor/internal/endpoints",
		module + "/supervisor/internal/fleet", module + "/supervisor/internal/guard", module + "/supervisor/internal/loop", module + "/supervisor/internal/outfit", module + "/supervisor/internal/pidfile",
		module + "/supervisor/internal/process", module + "/supervisor/internal/socket", module + "/worker/scoreboard", module + "/worker/sealed",
	},
	"supervisor/internal/birth": {
		sys, "go.uber.org/zap", module + "/config", module + "/supervisor/internal/boards", module + "/supervisor/internal/fleet", module + "/supervisor/internal/loop", module + "/supervisor/internal/notify", module + "/supervisor/internal/outfit",
		module + "/supervisor/internal/output", module + "/supervisor/internal/ownfiles", module + "/supervisor/internal/preload", module + "/supervisor/internal/process", module + "/supervisor/internal/roster", module + "/worker/protocol", module + "/worker/sealed",
	},
	"supervisor/internal/signs": {
		"go.uber.org/zap", module + "/config", module + "/supervisor/internal/fleet", module + "/supervisor/internal/guard", module + "/supervisor/internal/loop", module + "/supervisor/internal/notify",
		module + "/supervisor/internal/preload", module + "/supervisor/internal/process", module + "/supervisor/internal/roster", module + "/worker/scoreboard",
	},
	"supervisor/internal/limits": {
		"go.uber.org/zap", module + "/config", module + "/supervisor/internal/demand", module + "/supervisor/internal/fleet", module + "/supervisor/internal/guard", module + "/supervisor/internal/loop",
		module + "/supervisor/internal/overlap", module + "/supervisor/internal/preload", module + "/supervisor/internal/revision", module + "/supervisor/internal/roster", module + "/supervisor/internal/scales", module + "/supervisor/internal/socket", module + "/worker/scoreboard",
	},
	"supervisor/internal/overlap": {
		"go.uber.org/zap", module + "/config", module + "/supervisor/control", module + "/supervisor/internal/fleet", module + "/supervisor/internal/loop", module + "/supervisor/internal/preload",
		module + "/supervisor/internal/revision", module + "/supervisor/internal/roster", module + "/supervisor/internal/scales",
	},
	"supervisor/internal/listeners": {
		"go.uber.org/zap", module + "/supervisor/internal/fleet", module + "/supervisor/internal/hint", module + "/supervisor/internal/loop",
		module + "/supervisor/internal/manager", module + "/supervisor/internal/revision", module + "/supervisor/internal/roster", module + "/supervisor/internal/socket",
	},
	"supervisor/internal/standstill": {
		module + "/supervisor/internal/logorder", module + "/supervisor/internal/ownfiles", module + "/supervisor/internal/preload", module + "/supervisor/internal/process", module + "/supervisor/internal/roster",
	},
	"supervisor/internal/postmortem": {
		"go.uber.org/zap", module + "/supervisor/internal/archive", module + "/supervisor/internal/books", module + "/supervisor/internal/fleet", module + "/supervisor/internal/incidents", module + "/supervisor/internal/limits",
		module + "/supervisor/internal/logorder", module + "/supervisor/internal/ownfiles", module + "/supervisor/internal/process", module + "/supervisor/internal/report", module + "/supervisor/internal/roster",
	},
	"supervisor/internal/logorder": {"go.uber.org/zap"},
	"supervisor/internal/report": {
		"go.uber.org/zap", module + "/supervisor/admin", module + "/supervisor/control", module + "/supervisor/internal/books", module + "/supervisor/internal/fleet", module + "/supervisor/internal/manager",
		module + "/supervisor/internal/ownfiles", module + "/supervisor/internal/preload", module + "/supervisor/internal/reloads", module + "/supervisor/internal/revision", module + "/supervisor/internal/roster", module + "/supervisor/internal/scales",
	},
	"supervisor/internal/api": {
		"go.uber.org/zap", module + "/config", module + "/supervisor/admin", module + "/supervisor/control", module + "/supervisor/internal/fleet", module + "/supervisor/internal/loop",
		module + "/supervisor/internal/reloads", module + "/supervisor/internal/report", module + "/supervisor/internal/scales", module + "/supervisor/internal/upgrade",
	},
	"supervisor/internal/filewatch": {"github.com/fsnotify/fsnotify"},
	"supervisor/internal/accesslog": {sys, module + "/supervisor/files", module + "/supervisor/internal/terminal", module + "/worker/protocol"},
	"supervisor/internal/terminal":  {sys},
	"supervisor/internal/ownfiles":  {"go.uber.org/zap", module + "/config", module + "/supervisor/internal/accesslog", module + "/supervisor/internal/hint", module + "/supervisor/internal/loop", module + "/supervisor/internal/pidfile"},
	"supervisor/internal/reloads": {
		"go.uber.org/zap", module + "/config", module + "/supervisor/admin", module + "/supervisor/control", module + "/supervisor/internal/hint", module + "/supervisor/internal/loop", module + "/supervisor/internal/revision",
	},
	"supervisor/internal/signals":   {module + "/supervisor/internal/terminal"},
	"supervisor/internal/handover":  {sys, module + "/worker/sealed"},
	"supervisor/internal/upgrade":   {sys, "go.uber.org/zap", module + "/supervisor/control", module + "/supervisor/files", module + "/supervisor/internal/handover", module + "/supervisor/internal/loop", module + "/supervisor/internal/process"},
	"supervisor/internal/hint":      {sys, "go.uber.org/zap", module + "/config", module + "/supervisor/internal/filewatch", module + "/supervisor/internal/process", module + "/supervisor/internal/socket"},
	"supervisor/internal/httpd":     {},
	"supervisor/internal/loop":      {},
	"supervisor/internal/endpoints": {sys, "go.uber.org/zap", module + "/supervisor/internal/hint", module + "/config", module + "/supervisor/admin", module + "/supervisor/control", module + "/supervisor/internal/loop", module + "/supervisor/internal/socket"},
	"supervisor/internal/tally":     {sys, module + "/worker/scoreboard"},
	"worker":                        {sys, module + "/worker/protocol", module + "/worker/scoreboard", module + "/worker/internal"},
	"worker/internal/accesslog":     {sys, module + "/worker/protocol"},
	"worker/internal/clock":         {sys, module + "/worker/scoreboard"},
	"worker/internal/direct":        {sys},
	"worker/internal/exchange": {
		module + "/worker/internal/accesslog", module + "/worker/internal/direct", module + "/worker/internal/intake",
		module + "/worker/internal/limit", module + "/worker/internal/wire", module + "/worker/protocol", module + "/worker/scoreboard",
	},
	"worker/internal/intake": {sys, module + "/worker/protocol", module + "/worker/scoreboard"},
	"worker/internal/limit":  {module + "/worker/internal/clock", module + "/worker/protocol", module + "/worker/scoreboard"},
	"worker/internal/wire":   {sys, module + "/worker/internal/clock", module + "/worker/scoreboard"},
	"worker/internal/role":   {},
	"worker/proxy":           {sys, module + "/worker", module + "/worker/protocol", module + "/worker/resident"},
	"worker/plain":           {module + "/worker/internal/role"},
	"worker/protocol":        {},
	"worker/resident":        {sys},
	"worker/scoreboard":      {sys, module + "/worker/sealed"},
	"worker/sealed":          {sys},
	"examples":               {module + "/worker"},
}

// onlyForTests are the modules of others that tests may import.
var onlyForTests = []string{"github.com/rogpeppe/go-internal/testscript", sys}

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath                         string
	Standard                           bool
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

// list runs go list over the module, for another system too, whose files have
// imports of their own.
func list(t *testing.T, goos string, args ...string) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", slices.Concat([]string{"list", "-json"}, args, []string{"./..."})...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("cannot list packages: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		switch err := d.Decode(&p); {
		case err == io.EOF:
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestImports holds the directions of dependency.
func TestImports(t *testing.T) {
	for _, goos := range []string{"linux", "darwin"} {
		standard := map[string]bool{}
		for _, p := range list(t, goos, "-deps", "-test") {
			standard[p.ImportPath] = p.Standard
		}
		for _, p := range list(t, goos) {
			allowed := allowedFor(t, strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/"))
			for _, i := range p.Imports {
				if !standard[i] && !within(allowed, i) {
					t.Errorf("%s must not import %s", p.ImportPath, i)
				}
			}
			for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
				if !standard[i] && !within(allowed, i) && !within(onlyForTests, i) && !within([]string{module}, i) {
					t.Errorf("tests of %s must not import %s", p.ImportPath, i)
				}
			}
		}
	}
}

// TestWorkerIsLight holds what a user's server pulls in: nothing of the master,
// and nothing of others but x/sys.
func TestWorkerIsLight(t *testing.T) {
	standard := map[string]bool{}
	all := list(t, "linux", "-deps")
	for _, p := range all {
		standard[p.ImportPath] = p.Standard
	}
	for _, p := range all {
		if p.ImportPath != module+"/worker" {
			continue
		}
		for _, d := range p.Deps {
			if !standard[d] && !within([]string{sys, module + "/worker"}, d) {
				t.Errorf("%s pulls in %s", p.ImportPath, d)
			}
		}
		return
	}
	t.Error("no package worker")
}

// TestMasterIsForLinux: no file of the master stands in for what another system
// lacks, and gosuper there is built without it. What people run there, workers
// and checks of a configuration, is built as here.
func TestMasterIsForLinux(t *testing.T) {
	goFiles(t, func(name, text string) {
		if !strings.HasPrefix(name, "supervisor/") {
			return
		}
		constraint, _, _ := strings.Cut(text, "\npackage ")
		if strings.Contains(constraint, "//go:build") && strings.Contains(constraint, "!linux") || strings.Contains(path.Base(name), "_darwin") {
			t.Errorf("%s is for another system than Linux", name)
		}
	})
	there := map[string]goPackage{}
	for _, p := range list(t, "darwin", "-deps") {
		there[p.ImportPath] = p
	}
	for _, name := range []string{"cmd/gosuper", "config", "worker", "worker/protocol", "worker/scoreboard"} {
		p, ok := there[module+"/"+name]
		if !ok {
			t.Errorf("%s is not for macOS", name)
		}
		for _, d := range p.Deps {
			if within([]string{module + "/supervisor"}, d) {
				t.Errorf("on macOS %s pulls in %s", name, d)
			}
		}
	}
}

// allowedFor returns what the nearest folder with a law allows.
func allowedFor(t *testing.T, folder string) []string {
	for f := folder; f != "."; f = path.Dir(f) {
		if allowed, ok := mayImport[f]; ok {
			return allowed
		}
	}
	t.Errorf("no law says what %s may import", folder)
	return nil
}

// within reports whether a path is one of the paths, or below one.
func within(paths []string, p string) bool {
	return slices.ContainsFunc(paths, func(over string) bool { return p == over || strings.HasPrefix(p, over+"/") })
}

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
