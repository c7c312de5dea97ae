package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goFiles calls visit with every Go file of the repository, its path from the
// root, and its text.
func goFiles(t *testing.T, visit func(name, text string)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err == nil {
			visit(name, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPackageComments wants every package explained, in one place.
func TestPackageComments(t *testing.T) {
	comments := map[string][]string{} // by folder, the files that have one
	goFiles(t, func(name, text string) {
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Error(err)
			return
		}
		folder := path.Dir(name)
		if _, seen := comments[folder]; !seen {
			comments[folder] = nil
		}
		if f.Doc != nil {
			comments[folder] = append(comments[folder], path.Base(name))
		}
	})
	for folder, files := range comments {
		if len(files) != 1 || strings.HasSuffix(files[0], "_test.go") {
			t.Errorf("%s must have one package comment, outside of tests; has them in %v", folder, files)
		}
	}
}

// TestFileLength: a file is one thing.
func TestFileLength(t *testing.T) {
	goFiles(t, func(name, text string) {
		if n := strings.Count(text, "\n"); n > fileLines {
			t.Errorf("%s has %d lines, more than %d", name, n, fileLines)
		}
	})
}

// TestMasterIsReadInOneSitting: what the master knows and holds has a room below it.
func TestMasterIsReadInOneSitting(t *testing.T) {
	const most, mostFields = 2000, 18
	fields, methods, lines := 0, 0, 0
	goFiles(t, func(name, text string) {
		if path.Dir(name) != "supervisor" || strings.HasSuffix(name, "_test.go") {
			return
		}
		lines += strings.Count(text, "\n")
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				if is, ok := n.Type.(*ast.StructType); ok && n.Name.Name == "Supervisor" {
					fields += is.Fields.NumFields()
				}
			case *ast.FuncDecl:
				if n.Recv != nil && strings.Contains(text[n.Recv.Pos()-1:n.Recv.End()-1], "*Supervisor") {
					methods++
				}
			}
			return true
		})
	})
	if fields == 0 || fields > mostFields || methods == 0 || methods > 3*mostFields || lines > most {
		t.Errorf("the master has %d fields, %d methods and %d lines: more than %d, %d and %d", fields, methods, lines, mostFields, 3*mostFields, most)
	}
}

// TestSleepsSayWhy: a test waits for what happens, and where it is time itself that has to
// pass it says why.
func TestSleepsSayWhy(t *testing.T) {
	goFiles(t, func(name, text string) {
		if !strings.HasSuffix(name, "_test.go") {
			return
		}
		for i, line := range strings.Split(text, "\n") {
			if _, after, sleeps := strings.Cut(line, "time.Sleep("); sleeps && !strings.Contains(line, `"time.Sleep("`) && !strings.Contains(after, "// ") {
				t.Errorf("%s:%d does not say what it sleeps for", name, i+1)
			}
		}
	})
}

// TestTopLevel: the top level is closed.
func TestTopLevel(t *testing.T) {
	want := []string{"LICENSE", "README.md", "cmd", "config", "examples", "go.mod", "go.sum", "supervisor", "worker"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".") && !ignored(t, name) {
			got = append(got, name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the top level is\n%v, not\n%v", got, want)
	}
}

// ignored reports whether git looks away from a name of the top level.
func ignored(t *testing.T, name string) bool {
	for _, line := range strings.Split(read(t, ".gitignore"), "\n") {
		if ok, _ := path.Match(strings.Trim(line, "/"), name); ok {
			return true
		}
	}
	return false
}

// TestLicense: MIT.
func TestLicense(t *testing.T) {
	text := strings.Join(strings.Fields(read(t, "LICENSE")), " ")
	for _, want := range []string{"MIT License Copyright (c)", "Permission is hereby granted, free of charge"} {
		if !strings.Contains(text, want) {
			t.Errorf("LICENSE does not say %q", want)
		}
	}
}
