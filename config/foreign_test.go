package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestForeignNames: a name stands for one thing, and is none that exists here. So
// a row goes when this version gets what it says it has not.
func TestForeignNames(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range foreignNames {
		for name := range strings.FieldsSeq(f.names) {
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
			if _, ok := find(name); ok {
				t.Errorf("%s is a key", name)
			}
			if slices.ContainsFunc(keys, func(k Key) bool { return k.Flag == strings.ReplaceAll(name, "_", "-") || k.Shorthand == name }) {
				t.Errorf("%s is a flag", name)
			}
		}
		if _, ok := find(f.key); f.key != "" && !ok {
			t.Errorf("%s is no key", f.key)
		}
		if f.key == "" && f.here == "" && f.server == noServer {
			t.Errorf("%s: nothing is said", f.names)
		}
	}
}

func TestForeignFlag(t *testing.T) {
	for name, want := range map[string]string{
		"preload-app":        "here it is --preload",
		"preload":            "",
		"limit-max-requests": "here it is --max-requests",
		"certfile":           "here it is the key tls.cert of the file, or the variable GOSUPER_TLS_CERT; for cooperating workers",
		"app":                "here it is the key command of the file; the program that serves the application",
		"proxy-headers":      "an option of the server comes after the application: gosuper [flags] app:app --proxy-headers",
		"threads":            "an option of the server comes after the application: gosuper [flags] app:app --threads",
		"tmp-upload-dir":     "gosuper leaves HTTP to the server: look for it among the options of COMMAND",
		"asgi-loop":          "gosuper leaves HTTP to the server: look for it among the options of COMMAND; of a Python application it is --loop",
		"D":                  "gosuper stays in the foreground: let systemd start it, or write nohup gosuper ... &",
		"d":                  "",
		"workers":            "",
	} {
		if got, known := ForeignFlag(name); got != want || known != (want != "") {
			t.Errorf("%s: %q, %v", name, got, known)
		}
	}
}

// TestForeignVariables: what was meant for another supervisor is said, what is
// for the server of the command is not.
func TestForeignVariables(t *testing.T) {
	others := []string{"./server"}
	uvicorn := []string{"python3", "-m", "uvicorn", "app:app", "--fd", "3"}
	for _, test := range []struct {
		variable string
		command  []string
		want     string
	}{
		{"GUNICORN_CMD_ARGS=-w 2", others, "GUNICORN_CMD_ARGS is not read by gosuper: most options of Gunicorn are flags here too, see gosuper --help"},
		{"GUNICORN_CMD_ARGS=-w 2", []string{"/venv/bin/gunicorn", "app:app"}, ""},
		{"GUNICORN_CMD_ARGS=", others, ""},
		{"UVICORN_PORT=80", others, "UVICORN_PORT is not read by gosuper: here it is GOSUPER_BIND; HOST:PORT, or unix:PATH"},
		{"UVICORN_APP=a:b", others, "UVICORN_APP is not read by gosuper: here it is the key command of the file; the program that serves the application"},
		{"UVICORN_WORKERS=2", others, "UVICORN_WORKERS is not read by gosuper: here it is GOSUPER_WORKERS"},
		{"UVICORN_WORKERS=2", uvicorn, "UVICORN_WORKERS makes every worker start workers of its own: unset it, and set GOSUPER_WORKERS"},
		{"UVICORN_RELOAD=1", uvicorn, "UVICORN_RELOAD makes every worker start workers of its own: unset it, and set GOSUPER_RELOAD"},
		{"UVICORN_LOG_LEVEL=info", others, "UVICORN_LOG_LEVEL is not read by gosuper: here it is GOSUPER_LOG_LEVEL"},
		{"UVICORN_FD=3", uvicorn, ""},
		{"UVICORN_LOOP=uvloop", others, ""},
		{"UVICORN_SOMETHING=1", others, ""},
		{"GOSUPER_PRELOAD_APP=1", others, "GOSUPER_PRELOAD_APP is not a setting: here it is GOSUPER_PRELOAD"},
		{"GOSUPER_LOGLEVEL=debug", others, "GOSUPER_LOGLEVEL is not a setting: did you mean GOSUPER_LOG_LEVEL?"},
		{"GOSUPER_CERTFILE=x", others, "GOSUPER_CERTFILE is not a setting: here it is GOSUPER_TLS_CERT; for cooperating workers"},
	} {
		_, warnings := mustLoad(t, Source{Command: test.command, Environ: []string{test.variable}})
		if got := strings.Join(warnings, "\n"); got != test.want {
			t.Errorf("%s: %q, not %q", test.variable, got, test.want)
		}
	}
}

// The page for those who come from Gunicorn has a table of its own, which is Python's.
// Both know each setting, and name the same key for it.
func TestForeignNamesOfGunicorn(t *testing.T) {
	page, err := os.ReadFile("../worker/python/GUNICORN.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (?:`([\\w.]+)`)?").FindAllStringSubmatch(string(page), -1)
	if len(rows) < 100 {
		t.Fatalf("only %d settings", len(rows))
	}
	for _, row := range rows {
		name, there := row[1], row[2]
		here := name
		if k, own := find(name); !own || k.Name != name {
			f, known := findForeign(name)
			if !known {
				t.Errorf("%s is not known", name)
			}
			here = f.key
		}
		if here != there && here != "" && there != "" { // else it is said in words
			t.Errorf("%s: %q here, %q on the page", name, here, there)
		}
	}
}
