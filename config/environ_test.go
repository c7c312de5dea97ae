package config

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestEnviron(t *testing.T) {
	file := write(t, "vars", "FILE=file\nBOTH=file\nBASE2=file\nBRACES={slot}\n")
	c, _ := mustLoad(t, Source{
		Command: []string{"a"}, Environ: []string{"GOSUPER_ENV_FILE=" + file},
		Flags: map[string][]string{"env": {"BOTH=env", "BASE3=env", "PORT=90{slot}{place}{id}", "JSON={\"slots\":{id}}"}},
	})
	base := []string{
		"HOME=/root", "BASE=old", "BASE=a=b", "BASE2=x", "BASE3=x", "INHERITED={slot}", "EMPTY=", "=weird", "alone",
		"GOSUPER_WORKERS=3", "GOSUPER_WORKER_ID=1", "LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=a", "LISTEN_PIDFDID=2",
		"NOTIFY_SOCKET=/x", "WATCHDOG_USEC=1", "WATCHDOG_PID=1", "FDSTORE=1", "MAINPID=1",
		"LISTEN_ADDRESS=kept", "WATCHDOG=kept",
	}
	want := []string{
		"BASE2=file", "BASE3=env", "BASE=a=b", "BOTH=env", "BRACES={slot}", "EMPTY=", "FILE=file", "HOME=/root",
		"INHERITED={slot}", `JSON={"slots":17}`, "LISTEN_ADDRESS=kept", "PORT=902317", "WATCHDOG=kept",
	}
	got := c.Environ(base, nil, Worker{Slot: 2, Place: 3, ID: 17})
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if c.Env["PORT"] != "90{slot}{place}{id}" {
		t.Error("the configuration was changed")
	}
}

func TestEnvPass(t *testing.T) {
	base := []string{"A=1", "AB=1", "BA=1", "BAB=1", "PATH=/bin", "USER=root", "NOTIFY_SOCKET=/x", "GOSUPER_ENV_PASS=X"}
	for pass, want := range map[string]string{
		`["*"]`: "A=1 AB=1 BA=1 BAB=1 OWN=1 PATH=/bin USER=own X=1", `[]`: "OWN=1 USER=own X=1",
		`["A"]`: "A=1 OWN=1 USER=own X=1", `["A*"]`: "A=1 AB=1 OWN=1 USER=own X=1", `["*A"]`: "A=1 BA=1 OWN=1 USER=own X=1",
		`["*A*"]`: "A=1 AB=1 BA=1 BAB=1 OWN=1 PATH=/bin USER=own X=1", `["a", "PATH"]`: "OWN=1 PATH=/bin USER=own X=1",
	} {
		c, _ := mustLoad(t, Source{Command: []string{"a"}, File: write(t, "s.toml", "env_pass = "+pass+"\nenv = { X = \"1\" }")})
		if got := strings.Join(c.Environ(base, []string{"OWN=1", "USER=own"}, Worker{ID: 1}), " "); got != want {
			t.Errorf("%s: %s, want %s", pass, got, want)
		}
	}
	c, _ := mustLoad(t, Source{Command: []string{"a"}, Environ: []string{"GOSUPER_ENV_PASS=A,P*"}})
	if got := c.Environ(base, nil, Worker{ID: 1}); !slices.Equal(got, []string{"A=1", "PATH=/bin"}) {
		t.Errorf("by environment: %q", got)
	}
	// What a version wrote that passed everything.
	if got := new(Config).Environ(base, nil, Worker{ID: 1}); len(got) != 6 {
		t.Errorf("without a word about it: %q", got)
	}
	for pass, want := range map[string]string{
		`"*"`: "env_pass must be a list", `[""]`: "the name of a variable", `["A*B"]`: "at the beginning or the end", `["A=1"]`: "the name of a variable",
		`["NOTIFY_SOCKET"]`: "must not name NOTIFY_SOCKET", `["GOSUPER_*"]`: "must not name GOSUPER_",
	} {
		err := loadError(Source{Command: []string{"a"}, File: write(t, "s.toml", "env_pass = "+pass)})
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), ": ", " "), want) {
			t.Errorf("%s: %v, want %s", pass, err, want)
		}
	}
}

func TestEnvFile(t *testing.T) {
	text := strings.Join([]string{
		"\ufeff# comment", "", "  A = a b  ", "export B=2", "export\tC=3", "exported=4", "D='# $A \\n'",
		`E="a\tb\n\"\\\$\q\é # "  # comment`, "F=a#b # comment", "G=# comment", "H=", "I=a=b", `J="a'b"`, "K=1\r", "K=2\r", "l.m-n=1", "É=1",
	}, "\n")
	vars, errs := parseEnvFile(text)
	for _, e := range errs {
		t.Error(e)
	}
	want := map[string]string{
		"A": "a b", "B": "2", "C": "3", "exported": "4", "D": `# $A \n`, "E": "a\tb\n\"\\$\\q\\é # ", "F": "a#b", "G": "", "H": "",
		"I": "a=b", "J": "a'b", "K": "2", "l.m-n": "1", "É": "1",
	}
	if !maps.Equal(vars, want) {
		t.Errorf("got  %q\nwant %q", vars, want)
	}
}

func TestMistakesInEnvFile(t *testing.T) {
	file := write(t, "vars", strings.Join([]string{
		"A=1", "secret", "", "B C=1", `D="x`, "E='x' y", "LISTEN_FDS=3", "=1", "F=\xff", "G=\x00", "H=1",
	}, "\n"))
	want := []string{
		"FILE:2: must be NAME=VALUE (a value over several lines is not possible)",
		"FILE:4: must have a name of letters, digits and _ before the =",
		"FILE:5: D: has no closing quote in the same line",
		"FILE:6: E: has text behind the closing quote",
		"FILE:7: must not set LISTEN_FDS, which gosuper itself gives to its workers or keeps from them",
		"FILE:8: must have a name",
		"FILE:9: must be UTF-8 text without NUL bytes",
		"FILE:10: must be UTF-8 text without NUL bytes",
	}
	err := loadError(Source{Command: []string{"a"}, Environ: []string{"GOSUPER_ENV_FILE=" + file}})
	var got []string
	for _, e := range err.(*Errors).List {
		got = append(got, strings.ReplaceAll(e.Error(), file, "FILE"))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestExpand(t *testing.T) {
	for value, want := range map[string]string{
		"{slot}-{place}-{id}":    "1-2-37",
		"{{id}}":                 "{id}",
		"{{slot}}{{place}}":      "{slot}{place}",
		"{{{id}}}":               "{{id}}",
		"{{id},{slot}}":          "{37,1}",
		`{"id":{id}}`:            `{"id":37}`,
		`{"a":{"b":1}}`:          `{"a":{"b":1}}`,
		"{{x}} {{ id }} {ID}":    "{{x}} {{ id }} {ID}",
		"cuda:{gpu} {{gpu}}":     "cuda:GPU-1 {gpu}",
		"{}{id":                  "{}{id",
		"http://h/{{id}}?s={id}": "http://h/{id}?s=37",
	} {
		if got := (Worker{Slot: 1, Place: 2, ID: 37, Lease: map[string]string{"gpu": "GPU-1"}}).Expand(value); got != want {
			t.Errorf("%s becomes %s, want %s", value, got, want)
		}
	}
}

// TestLoaderEnviron: what a loader and a forked worker have together is what a worker
// has that was executed.
func TestLoaderEnviron(t *testing.T) {
	c, _ := mustLoad(t, Source{
		File: write(t, "preload.toml", "preload = true\n[env]\nSHARD = \"s{slot}\"\nFIX = \"{{slot}} {x}\"\nHOME = \"/{id}\"\n"), Command: []string{"./server"},
	})
	base := []string{"HOME=/root", "LISTEN_FDS=1", "A=b"}
	loader, forked := c.LoaderEnviron(base, nil), c.ForkedEnviron(Worker{Slot: 2, Place: 3, ID: 4})
	if want := []string{"A=b", "FIX={slot} {x}"}; !slices.Equal(loader, want) {
		t.Errorf("the loader has %q, want %q", loader, want)
	}
	if want := []string{"HOME=/4", "SHARD=s2"}; !slices.Equal(forked, want) {
		t.Errorf("the worker has %q more, want %q", forked, want)
	}
	both := slices.Sorted(slices.Values(append(loader, forked...)))
	if want := c.Environ(base, nil, Worker{Slot: 2, Place: 3, ID: 4}); !slices.Equal(both, want) {
		t.Errorf("together %q, want %q", both, want)
	}
}
