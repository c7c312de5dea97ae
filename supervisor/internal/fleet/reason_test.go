package fleet

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

// No reason is left out of the table.
func TestReasonsAreComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
			constants++
			text, err := strconv.Unquote(literal.Value)
			if _, known := reasons[Reason(text)]; err != nil || !known {
				t.Errorf("%s is not in the table of reasons", spec.Names[0].Name)
			}
		}
		return true
	})
	if constants != len(reasons) {
		t.Errorf("%d constants and %d reasons in the table", constants, len(reasons))
	}
}

func TestGiven(t *testing.T) {
	for text, want := range map[string]Reason{
		"max_requests": ReasonRequests, "memory": ReasonMemory, "lifetime": ReasonLifetime, "tired": "tired",
		"crash": ReasonRecycle, "start": ReasonRecycle, "rollback": ReasonRecycle, "recycle": ReasonRecycle,
	} {
		if got := Given(text); got != want {
			t.Errorf("a worker that gives %q is replaced for %q, want %q", text, got, want)
		}
	}
}
