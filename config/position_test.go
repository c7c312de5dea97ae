package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestPositions(t *testing.T) {
	text := strings.Join([]string{
		`# comment with = and [brackets]`,       // 1
		`  command = [ # a list`,                // 2
		`    "a = 1", 'b]', # not the end ]`,    // 3
		`    """`,                               // 4
		`  in = "a string" \""" ]""",`,          // 5
		`]`,                                     // 6
		`"name" = "x" # trailing`,               // 7
		`env.A = '''`,                           // 8
		`B = 1`,                                 // 9
		`'''''`,                                 // 10: two quotes more
		`env . "C" = 2020-01-01 10:00:00`,       // 11
		`list = [ { a = 1, b = [2] },`,          // 12
		`  { workers = 1 } ]`,                   // 13
		`"\u0077orkers" = +3`,                   // 14
		`umask = 0o22`,                          // 15
		`log = { level = "x", # TOML 1.1`,       // 16
		`  "file" = { a.b = 1 },`,               // 17
		`}`,                                     // 18
		"[ restart ]\t",                         // 19
		"backoff_min=1\r",                       // 20
		``,                                      // 21
		`[[ many ]]`,                            // 22
		`a = 1`,                                 // 23
		`[[many]]`,                              // 24
		`a = 1`,                                 // 25
		`[restart.inner]`,                       // 26
		`"" = ""`,                               // 27
		`empty = ""`, `more = """\`, `  """""x`, // 28, 29, 30: two quotes more, and no line end
	}, "\n")
	text = strings.TrimSuffix(text, "x")
	var document map[string]any
	if _, err := toml.Decode(text, &document); err != nil {
		t.Fatal(err)
	}
	found, again := scan(text)
	if again != nil {
		t.Error(again)
	}
	want := map[string]int{
		"command": 2, "name": 7, "env": 8, "env A": 8, "env C": 11, "list": 12, "workers": 14, "umask": 15,
		"log": 16, "log level": 16, "log file": 17, "log file a": 17, "log file a b": 17,
		"restart": 19, "restart backoff_min": 20, "many": 22, "restart inner": 26, "restart inner ": 27,
		"restart inner empty": 28, "restart inner more": 29,
	}
	for path, line := range want {
		key := strings.ReplaceAll(path, " ", "\x00")
		if found[key].line != line {
			t.Errorf("%q is in line %d, not %d", path, found[key].line, line)
		}
		delete(found, key)
	}
	for key, at := range found {
		t.Errorf("there is no key %q in line %d", key, at.line)
	}
}

func TestPositionFallsBackToTheTable(t *testing.T) {
	m := marks{"log": {line: 3}}
	if m.line("log", "level") != 3 || m.line("level") != 0 {
		t.Error("a key without a position must have that of its table, or none")
	}
}

// FuzzLoad feeds files to Load. It must not panic, its errors must say
// something at a line that exists, and what it accepts it must print so that it
// reads the same.
func FuzzLoad(f *testing.F) {
	f.Add(Default().TOML(nil))
	for _, s := range samples {
		f.Add("env = " + s.toml + "\n[log]\nlevel = " + s.toml)
	}
	for _, text := range []string{
		"command = [\"a\"]\n[env]\nA = \"{slot}\"\n", "a.b.c = 1\na = 2\n", "[[log]]\nlevel = 1\n[[log.x]]\n", "x = [{a = 1}, [{b = '''\n'''}]]\n",
		"\"a\\u0062\" = 1", "umask = 0o22", "x = 1979-05-27 07:32:00Z # =\n", "log = {level = \"x\"}\nlog.file = 3", "\xef\xbb\xbfname = 1", "[a.'b.c']\nd=inf",
	} {
		f.Add(text)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(dir, "s.toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// Files named by the input would make its meaning depend on the machine.
		source := Source{File: file, Flags: map[string][]string{"chdir": {dir}}, Environ: []string{"GOSUPER_ENV_FILE=/dev/null"}}
		c, _, err := Load(source)
		if err != nil {
			checkErrors(t, err, text)
		} else {
			source.File = filepath.Join(dir, "again.toml")
			if err := os.WriteFile(source.File, []byte(c.TOML(nil)), 0o600); err != nil {
				t.Fatal(err)
			}
			again, _, err := Load(source)
			if err != nil {
				t.Fatalf("%v\n%s", err, c.TOML(nil))
			}
			if diff := Diff(c, again); diff != nil {
				t.Fatalf("%v changed\n%s", diff, c.TOML(nil))
			}
		}
		checkScan(t, text)
	})
}

// checkErrors checks what holds for every error of Load.
func checkErrors(t *testing.T, err error, text string) {
	var all *Errors
	if !errors.As(err, &all) || len(all.List) == 0 {
		t.Fatalf("the error is %#v", err)
	}
	for _, e := range all.List {
		if e.Msg == "" || e.File == "" && e.From == "" && e.Key == "" {
			t.Errorf("an error says nothing: %#v", e)
		}
		if e.Line < 0 || e.Line > 1+strings.Count(text, "\n") {
			t.Errorf("there is no such line: %v", e)
		}
		if strings.Contains(e.Msg, "BUG") || strings.Contains(e.Msg, "runtime error") {
			t.Logf("the parser panics: %v", e)
		}
	}
}

// checkScan compares the scanner with the parser, which knows the keys but not
// where they are.
func checkScan(t *testing.T, text string) {
	// The parser skips a byte order mark.
	text = strings.TrimPrefix(text, "\ufeff")
	if document, err := parseTOML(text); err != nil || document == nil {
		return
	}
	var document map[string]any
	meta, err := toml.Decode(text, &document)
	if err != nil {
		return
	}
	found, _ := scan(text)
	known := make(map[string]bool)
	for _, key := range meta.Keys() {
		for n := range key {
			known[strings.Join(key[:n+1], "\x00")] = true
		}
		inList := false
		for n := range key {
			above := meta.Type(key[:n+1]...)
			inList = inList || above == "Array" || above == "ArrayHash"
		}
		// Keys within lists are not looked for.
		if _, ok := found[strings.Join(key, "\x00")]; !ok && !inList {
			t.Errorf("key %q is not found", key)
		}
	}
	for key, at := range found {
		if !known[key] {
			t.Errorf("key %q in line %d does not exist", key, at.line)
		}
	}
}
