package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// pythons makes files that stand for interpreters, and a program in a folder.
func pythons(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"usr/bin/python3.11", "venv/bin/gosuper", "user/bin/gosuper", "path/bin/gosuper", "named/app:app", "work/mine:app",
		"venv/lib/python3.11/site-packages/gosuper-1.dist-info/RECORD", "user/lib/python3.11/site-packages/gosuper-1.dist-info/RECORD",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"usr/bin/python3": "python3.11", "venv/bin/python": "python3", "venv/bin/python3": dir + "/usr/bin/python3.11", "active": "venv",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestApplication(t *testing.T) {
	dir := pythons(t)
	for _, tc := range []struct {
		name, program, path, environment, command string
		want                                      string // argv[0], or the error; "": it is no application
	}{
		{name: "an environment", environment: "DIR/venv", path: "DIR/usr/bin", want: "DIR/venv/bin/python"},
		{name: "an environment behind a link", environment: "DIR/active", want: "DIR/venv/bin/python"},
		{name: "the relative folder of an environment", environment: "venv", want: "DIR/venv/bin/python"},
		{
			name: "an environment that is gone", environment: "DIR/gone", path: "DIR/usr/bin",
			want: `command: cannot run "app.main:app", a Python application: there is no Python in VIRTUAL_ENV, DIR/gone (activate another environment, or unset VIRTUAL_ENV)`,
		},
		{name: "installed into an environment", program: "DIR/active/bin/gosuper", path: "DIR/usr/bin", want: "DIR/venv/bin/python3"},
		{name: "an environment wins", program: "DIR/active/bin/gosuper", environment: "DIR/gone", want: "there is no Python in VIRTUAL_ENV"},
		{name: "installed for a user", program: "DIR/user/bin/gosuper", path: "DIR/usr/bin", want: "DIR/usr/bin/python3.11"},
		{name: "installed for a version that is gone", program: "DIR/user/bin/gosuper", path: "DIR/venv/bin", want: "DIR/venv/bin/python3"},
		{name: "no wheel", program: "DIR/path/bin/gosuper", path: "relative:DIR/usr/bin", want: "DIR/usr/bin/python3"},
		{
			name: "no Python", path: "DIR/path/bin",
			want: `command: cannot run "app.main:app", a Python application: there is no python3 in PATH ` +
				`(install Python 3, or set VIRTUAL_ENV to an environment with "gosuper[uvicorn]" in it)`,
		},
		{name: "a deep one", command: "é_1.b2.c:D.e", path: "DIR/usr/bin", want: "DIR/usr/bin/python3"},
		{name: "a program of this name", command: "app:app", path: "DIR/named"},
		{name: "a file of this name", command: "mine:app", path: "DIR/usr/bin"},
		{name: "a path", command: "./app:app", path: "DIR/usr/bin"},
		{name: "a drive", command: `c:\app`, path: "DIR/usr/bin"},
		{name: "an address", command: "localhost:80", path: "DIR/usr/bin"},
		{name: "an empty part", command: "app..main:app", path: "DIR/usr/bin"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			here := func(s string) string { return strings.ReplaceAll(s, "DIR", dir) }
			if tc.command == "" {
				tc.command = "app.main:app"
			}
			c, _ := mustLoad(t, Source{
				Dir: dir, Command: []string{tc.command, "--factory"}, Program: here(tc.program), Flags: map[string][]string{"chdir": {"work"}},
				Environ: []string{"PATH=" + here(tc.path), "VIRTUAL_ENV=" + here(tc.environment)},
			})
			if c.IsApplication() != (tc.want != "") {
				t.Fatalf("application: %v", c.IsApplication())
			}
			got, err := c.Resolve()
			switch {
			case tc.want == "":
				if got.Args != nil {
					t.Errorf("it is started as %q", got.Args)
				}
			case err != nil:
				if !strings.Contains(err.Error(), here(tc.want)) {
					t.Errorf("got %v", err)
				}
			default:
				want := []string{here(tc.want), "-m", "gosuper", tc.command, "--factory"}
				if !reflect.DeepEqual(got.Argv(c.Command), want) || got.Path != dir+"/usr/bin/python3.11" {
					t.Errorf("got %q, %q", got.Path, got.Args)
				}
			}
		})
	}
}

// Only its sources are watched, unless it was said what is.
func TestWatchedOfApplication(t *testing.T) {
	dir := pythons(t)
	for _, tc := range []struct {
		command, text string
		want          []string
	}{
		{"app:app", "", []string{".py"}},
		{"app:app", `watch.paths = ["."]`, nil},
		{"./app", "", nil},
	} {
		c, _ := mustLoad(t, Source{Dir: dir, Command: []string{tc.command}, File: write(t, "supervisor.toml", tc.text)})
		if got := c.WatchedOnly(); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s with %q: %q", tc.command, tc.text, got)
		}
	}
}
