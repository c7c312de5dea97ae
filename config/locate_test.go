package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLocate: what is wrong with other keys is no obstacle.
func TestLocate(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, text string
		environ    []string
		want       Location
		fails      bool
	}{
		{name: "nothing", text: "", want: Location{Socket: "auto"}},
		{name: "command", text: `command = ["./bin/api", "-v"]`, want: Location{Name: "api", Socket: "auto"}},
		{name: "name", text: "name = \"x\"\ncommand = [\"./api\"]", want: Location{Name: "x", Socket: "auto"}},
		{name: "off", text: `control.socket = "off"`, want: Location{Socket: "off"}},
		{name: "relative", text: "chdir = \"app\"\ncontrol.socket = \"c\"\nadmin.bind = \"unix:a\"", want: Location{Socket: dir + "/app/c", Admin: "unix:" + dir + "/app/a"}},
		{name: "admin", text: `admin.bind = "127.0.0.1:9090"`, want: Location{Socket: "auto", Admin: "127.0.0.1:9090"}},
		{name: "environment", text: `name = "x"`, environ: []string{"GOSUPER_NAME=y", "GOSUPER_CONTROL_SOCKET=/c"}, want: Location{Name: "y", Socket: "/c"}},
		{name: "other mistakes", text: "name = \"x\"\nworkres = 2\nworkers = 0", want: Location{Name: "x", Socket: "auto"}},
		{name: "a wrong name", text: `name = "a/b"`, fails: true},
		{name: "a wrong socket", text: `control.socket = "@x"`, fails: true},
		{name: "no TOML", text: "name = ", fails: true},
	} {
		file := filepath.Join(dir, "s.toml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Locate(Source{File: "s.toml", Environ: c.environ, Dir: dir})
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
	if _, err := Locate(Source{File: "missing.toml", Dir: dir}); err == nil {
		t.Error("a file that does not exist is found")
	}
}
