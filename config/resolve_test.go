package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// releases makes a folder with two releases and a link to the first, as
// deployments do, and returns it without symlinks of its own.
func releases(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []string{"v1", "v2"} {
		for path, mode := range map[string]os.FileMode{r + "/bin/serve": 0o755, r + "/bin/notes": 0o644, r + "/app.js": 0o644, r + "/supervisor.toml": 0o644, r + "/pkg/main.py": 0o644} {
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, path), nil, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	links := map[string]string{"current": "v1", "v1/tool": "bin/serve", "v1/loop": "loop", "v1/gone": "nowhere"}
	for link, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestResolve(t *testing.T) {
	dir := releases(t)
	tests := []struct {
		name, chdir, program, path string
		wantDir, want              string // want is the error, unless wantDir is set
	}{
		{"relative", "current", "bin/serve", "", "v1", "v1/bin/serve"},
		{"dot", "current", "./tool", "", "v1", "v1/bin/serve"},
		{"absolute", "current", "DIR/current/tool", "", "v1", "v1/bin/serve"},
		{"no chdir", "", "current/tool", "", ".", "v1/bin/serve"},
		{"path", "current", "serve", "/nonexistent:DIR/current/bin", "v1", "v1/bin/serve"},
		{"path past a folder", "current", "bin", "DIR/v1:DIR/elsewhere", "", `command: cannot run "DIR/v1/bin": it is a folder (name a program in it)`},
		{"path past a text", "current", "notes", "DIR/v1/bin", "", `command: cannot run "DIR/v1/bin/notes": it is not executable (chmod +x DIR/v1/bin/notes)`},
		{"not in path", "current", "server", "/nonexistent", "", `command: cannot find "server" in PATH (the PATH of the workers is /nonexistent)`},
		{"in the folder", "current", "tool", "/nonexistent:.", "", `command: cannot find "tool" in PATH (there is one in the working folder: write "./tool")`},
		{"in the folder's bin", "current", "serve", "/nonexistent", "", `command: cannot find "serve" in PATH (there is one in the working folder: write "bin/serve")`},
		{"long path", "current", "server", "/nonexistent:" + strings.Repeat("/x", 50), "", `command: cannot find "server" in PATH (it is in none of the 2 folders of the workers' PATH: give it with its folder, or set PATH)`},
		{"a file of node", "current", "app.js", "/nonexistent", "", `command: cannot find "app.js" in PATH (it is a file in the working folder: gosuper [flags] node app.js)`},
		{"a file of node with its path", "current", "./app.js", "", "", `command: cannot run "./app.js": it is not executable (gosuper [flags] node ./app.js, or chmod +x DIR/v1/app.js)`},
		{"a configuration", "current", "supervisor.toml", "/nonexistent", "", `command: cannot find "supervisor.toml" in PATH (a configuration is read by gosuper -c supervisor.toml)`},
		{"a configuration with its path", "current", "./supervisor.toml", "", "", `command: cannot run "./supervisor.toml": it is not executable (a configuration is read by gosuper -c ./supervisor.toml)`},
		{"a module", "current", "pkg.main", "/nonexistent", "", `command: cannot find "pkg.main" in PATH (it is a Python module: name the application in it, MODULE:ATTR, such as pkg.main:app)`},
		{"several words", "current", "uvicorn app:app", "/nonexistent", "", `command: cannot find "uvicorn app:app" in PATH (it is one word with blanks in it: give "uvicorn" and its arguments without quotes around them all)`},
		{"a factory", "current", "app:make()", "", "", `command: cannot run "app:make()": it is a call and no program (a function that returns the application is given as gosuper app:make --factory)`},
		{"an application by its file", "current", "./pkg/main.py:app", "", "", `command: cannot run "./pkg/main.py:app": no such file (a Python application is named by its module: gosuper pkg.main:app)`},
		{"an application by its path", "current", "pkg/main:app.api", "", "", `command: cannot run "pkg/main:app.api": no such file (a Python application is named by its module: gosuper pkg.main:app.api)`},
		{"no application either", "current", "./my-app/main:app", "", "", `command: cannot run "./my-app/main:app": no such file (looked for DIR/v1/my-app/main:app)`},
		{"no application", "current", "c:\\serve", "/nonexistent", "", `command: cannot find "c:\\serve" in PATH (the PATH of the workers is /nonexistent)`},
		{"no path", "current", "server", "", "", `command: cannot find "server": the workers have no PATH (give it with a path)`},
		{"missing", "current", "./server", "", "", `command: cannot run "./server": no such file (looked for DIR/v1/server)`},
		{"broken link", "current", "./gone", "", "", `command: cannot run "./gone": no such file (looked for DIR/v1/gone)`},
		{"missing absolute", "current", "/nonexistent/x", "", "", `command: cannot run "/nonexistent/x": no such file`},
		{"not executable", "current", "bin/notes", "", "", `command: cannot run "bin/notes": it is not executable (chmod +x DIR/v1/bin/notes)`},
		{"folder", "current", "./bin", "", "", `command: cannot run "./bin": it is a folder (name a program in it)`},
		{"device", "current", "/dev/null", "", "", `command: cannot run "/dev/null": it is not a regular file`},
		{"no such chdir", "elsewhere", "./serve", "", "", `chdir: cannot use DIR/elsewhere: no such file`},
		{"chdir is a file", "v1/bin/serve", "./serve", "", "", `chdir: cannot use DIR/v1/bin/serve: it is not a folder`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			here := func(s string) string { return strings.ReplaceAll(s, "DIR", dir) }
			c, _ := mustLoad(t, Source{
				Dir: dir, Command: []string{here(test.program)}, Environ: []string{"PATH=" + here(test.path)},
				Flags: map[string][]string{"chdir": {test.chdir}},
			})
			got, err := c.Resolve()
			if test.wantDir == "" {
				if err == nil || err.Error() != here(test.want) {
					t.Errorf("got %v %v", got, err)
				}
				return
			}
			want := Resolved{Dir: filepath.Join(dir, test.wantDir), Path: filepath.Join(dir, test.want)}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %v %v", got, err)
			}
			if c.Command[0] != here(test.program) {
				t.Errorf("the command became %q", c.Command)
			}
		})
	}
	c := &Config{Dir: dir, Command: []string{"v1/loop"}}
	if _, err := c.Resolve(); err == nil {
		t.Error("a link to itself resolves")
	}
}

func TestResolveFollowsTheLinkAnew(t *testing.T) {
	dir := releases(t)
	c, _ := mustLoad(t, Source{Dir: dir, Command: []string{"./bin/serve"}, Flags: map[string][]string{"chdir": {"current"}}})
	before, err := c.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "current")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("v2", link); err != nil {
		t.Fatal(err)
	}
	after, err := c.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if before.Path != dir+"/v1/bin/serve" || after.Path != dir+"/v2/bin/serve" || after.Dir != dir+"/v2" {
		t.Errorf("%v became %v", before, after)
	}
}

func TestPathOfTheWorkers(t *testing.T) {
	file := write(t, "vars", "PATH=/from/file\n")
	environ := []string{"PATH=/from/environment"}
	for want, source := range map[string]Source{
		"/from/environment": {Environ: environ},
		"/from/file":        {Environ: append(environ, "GOSUPER_ENV_FILE="+file)},
		"/from/env":         {Environ: append(environ, "GOSUPER_ENV_FILE="+file), Flags: map[string][]string{"env": {"PATH=/from/env"}}},
	} {
		source.Command = []string{"a"}
		if c, _ := mustLoad(t, source); c.path() != want {
			t.Errorf("the PATH is %s, not %s", c.path(), want)
		}
	}
}
