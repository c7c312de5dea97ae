package fleet

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"testing"
)

// methods returns the types of a file that have the method.
func methods(t *testing.T, file, method string) (types []string) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == method {
			types = append(types, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	if len(types) == 0 {
		t.Fatalf("%s has no type with the method %s", file, method)
	}
	return types
}

// No event, no state and no action is left out of the table.
func TestTableIsComplete(t *testing.T) {
	for _, event := range methods(t, "event.go", "event") {
		is := func(r tableRow) bool { return r.event != nil && reflect.TypeOf(r.event).Name() == event }
		if !slices.ContainsFunc(rows, is) && !slices.ContainsFunc(loaderRows, is) {
			t.Errorf("there is no row for %s", event)
		}
	}
	for _, action := range methods(t, "action.go", "action") {
		is := func(l tableLetter) bool { return reflect.TypeOf(l.action).Name() == action }
		if !slices.ContainsFunc(letters, is) {
			t.Errorf("there is no letter for %s", action)
		}
	}
	for state := range LoaderState(len(loaderStates)) {
		if !slices.ContainsFunc(loaderColumns, func(c loaderColumn) bool { return c.state == state }) {
			t.Errorf("there is no column for a loader that is %v", state)
		}
	}
	for state := range State(len(stored)) {
		if initials[state] == "" || state == gone {
			t.Errorf("there is no letter for %v (%d)", state, state)
		}
		if !slices.ContainsFunc(columns, func(c tableColumn) bool { return c.state == state }) {
			t.Errorf("there is no column for %v (%d)", state, state)
		}
	}
}

// An id that was never given to a worker is like that of one that is gone.
func TestUnknownWorker(t *testing.T) {
	for _, row := range rows {
		if row.event == nil || !reflect.ValueOf(row.event).FieldByName("ID").IsValid() {
			continue
		}
		s := enter(t, tableColumn{"ready", Ready, enterReady})
		was := s.facts()
		event := reflect.New(reflect.TypeOf(row.event)).Elem()
		event.FieldByName("ID").SetInt(99)
		if actions := s.step(event.Interface().(Event)); len(actions) > 0 || s.facts() != was {
			t.Errorf("%s of nobody: %s", row.name, describe(actions))
		}
	}
}
