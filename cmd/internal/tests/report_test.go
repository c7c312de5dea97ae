package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReport has go test run a module whose tests do all that tests can do.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                "module m\n",
		"bare/bare.go":          "package bare\n",
		"broken/broken_test.go": "package broken\n\nvar x int = \"\"\n",
		"good/good_test.go": `package good

import "testing"

func TestGood(t *testing.T) { t.Log("not worth a word") }

func TestTool(t *testing.T) { t.Log("looking"); t.Skip("no nginx") }

func TestParts(t *testing.T) {
	t.Run("root", func(t *testing.T) { t.Skip("needs root") })
	t.Run("rest", func(t *testing.T) {})
}
`,
		"bad/bad_test.go": `package bad

import "testing"

func TestBad(t *testing.T) { t.Error("wrong") }

func TestFine(t *testing.T) { t.Log("not worth a word") }

func TestTool(t *testing.T) { t.Skip("no nginx") }

func TestPanic(t *testing.T) { panic("out of order") }
`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-json", "./...")
	cmd.Dir = dir
	events, _ := cmd.Output()
	var out strings.Builder
	left, took, err := report(&out, strings.NewReader(string(events)))
	if err != nil {
		t.Fatal(err)
	}
	got := out.String()
	for _, want := range []string{
		"no test files", "FAIL\tm/broken [build failed]", "cannot use \"\"", "ok  \tm/good", "bad_test.go:5: wrong", "panic: out of order", "FAIL\tm/bad",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	for _, silent := range []string{"not worth a word", "no nginx", "TestGood"} {
		if strings.Contains(got, silent) {
			t.Errorf("the report says %q", silent)
		}
	}
	if len(took) > 0 {
		t.Errorf("worth telling is %v", took)
	}
	if t.Failed() {
		t.Logf("the report:\n%s", got)
	}
	var list strings.Builder
	left.write(&list)
	const want = `
Left out, and what was lacking (3):

needs root
    m/good TestParts/root

no nginx
    m/bad TestTool
    m/good TestTool
`
	if list.String() != want {
		t.Errorf("the list is\n%s\nwant\n%s", &list, want)
	}
	list.Reset()
	skips(nil).write(&list)
	if got := list.String(); got != "\nNothing was left out.\n" {
		t.Errorf("an empty list is %q", got)
	}
}

func TestReason(t *testing.T) {
	for output, want := range map[string]string{
		"    a_test.go:1: looking\n    a_test.go:2: no nginx\n        not anywhere\n--- SKIP: TestA (0.00s)\n": "no nginx",
		"    cmd.go:380: no setpriv\n    testscript.go:609: WORK=$WORK\n        > skip 'no setpriv'\n":         "no setpriv",
		"--- SKIP: TestA (0.00s)\n": "it does not say why",
	} {
		if got := reason(output); got != want {
			t.Errorf("the reason is %q, want %q, of\n%s", got, want, output)
		}
	}
}

func TestLongest(t *testing.T) {
	events := `{"Action":"pass","Package":"m/a","Test":"TestBrief","Elapsed":0.99}
{"Action":"pass","Package":"m/a","Test":"TestLong/part","Elapsed":3}
{"Action":"pass","Package":"m/a","Test":"TestLong","Elapsed":3.25}
{"Action":"fail","Package":"m/a","Elapsed":12}
`
	var out strings.Builder
	_, took, err := report(&out, strings.NewReader(events))
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	took.write(&out)
	if want := "\nWhat took the longest, in seconds:\n\n      12.0  m/a\n       3.2  m/a TestLong\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
