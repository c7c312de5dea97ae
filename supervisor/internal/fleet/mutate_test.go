package fleet

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutantName is the variable of the environment that chooses a mutant by its number.
const mutantName = "FLEET_MUTANT"

// chooser is added to each package that has mutants.
const chooser = `package %s

import (
	"os"
	"strconv"
)

var mutant = func() int {
	n, err := strconv.Atoi(os.Getenv(%q))
	if err != nil {
		n = -1
	}
	return n
}()
`

// buildMutants builds the tests of this package with all mutants in them: one binary
// for each would take a hundred times as long to build as to run. A function that is to
// be wrong begins with a choice between its wrong bodies, and its own is the last.
func buildMutants(t *testing.T) (binary string) {
	sources := map[string]string{} // of the files that are not as they are
	for _, m := range mutants {
		if sources[m.file] == "" {
			var name string
			name, sources[m.file] = mutate(t, m.file)
			sources[filepath.Join(filepath.Dir(m.file), "mutant.go")] = fmt.Sprintf(chooser, name, mutantName)
		}
	}
	dir := t.TempDir()
	replace := map[string]string{}
	for file, source := range sources {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "fleet.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", file, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("cannot build: %v\n%s", err, out)
	}
	return binary
}

// mutate returns the name of the package of a file, and its source with all mutants.
func mutate(t *testing.T, file string) (name, source string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	source = string(text)
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	offset := func(p token.Pos) int { return files.Position(p).Offset }
	choices := map[*ast.FuncDecl]string{}
	for i, m := range mutants {
		if m.file != file {
			continue
		}
		if n := strings.Count(source, m.old); n != 1 {
			t.Fatalf("%q occurs %d times in %s, want once", m.old, n, file)
		}
		at := strings.Index(source, m.old)
		f := around(parsed, func(body *ast.BlockStmt) bool {
			return offset(body.Lbrace) < at && at+len(m.old) <= offset(body.End())
		})
		if f == nil {
			t.Fatalf("%q is in no function of %s", m.old, file)
		}
		body := strings.Replace(source[offset(f.Body.Lbrace):offset(f.Body.End())], m.old, m.new, 1)
		if f.Type.Results == nil {
			body = "{" + body + "\nreturn }"
		}
		choices[f] += fmt.Sprintf("\nif mutant == %d %s\n", i, body)
	}
	var b strings.Builder
	end := 0
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && choices[f] != "" {
			begin := offset(f.Body.Lbrace) + 1
			b.WriteString(source[end:begin] + choices[f])
			end = begin
		}
	}
	return parsed.Name.Name, b.String() + source[end:]
}

// around returns the function of a file whose body is the one.
func around(file *ast.File, is func(body *ast.BlockStmt) bool) *ast.FuncDecl {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil && is(f.Body) {
			return f
		}
	}
	return nil
}
