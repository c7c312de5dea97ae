package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestWorkerVariables compares the variables of the worker protocol with those that
// this package takes for such: whoever adds one has to add it here too.
func TestWorkerVariables(t *testing.T) {
	var names []string
	parsed, err := parser.ParseFile(token.NewFileSet(), "../worker/protocol/protocol.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Env") {
			name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
		return true
	})
	if len(names) < 20 {
		t.Fatalf("the protocol has %d variables: %v", len(names), names)
	}
	for _, name := range names {
		switch {
		case !isReserved(name):
			t.Errorf("env may set %s, which is the protocol's", name)
		case strings.HasPrefix(name, "GOSUPER_") && !isSilent(name):
			t.Errorf("%s is taken for a mistake in the environment", name)
		}
	}
	for _, name := range workerVariables {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not a variable of the protocol", name)
		}
	}
}
