//go:build linux

package control

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func (t types) has(one string) bool { return slices.Contains(t, one) }

func described(t *testing.T) *description {
	t.Helper()
	var d description
	if err := json.Unmarshal(Description, &d); err != nil {
		t.Fatal(err)
	}
	if d.OpenAPI != "3.1.0" {
		t.Errorf("openapi %q", d.OpenAPI)
	}
	return &d
}

// TestDescriptionHasRoutes: every operation is described, and no other.
func TestDescriptionHasRoutes(t *testing.T) {
	d := described(t)
	var want, got []string
	for _, r := range routes {
		want = append(want, strings.ToLower(r.method)+" "+r.path)
	}
	ids := map[string]bool{}
	for path, operations := range d.Paths {
		for method, o := range operations {
			got = append(got, method+" "+path)
			if o.Summary == "" || o.OperationID == "" || ids[o.OperationID] {
				t.Errorf("%s %s needs a summary and an id of its own", method, path)
			}
			ids[o.OperationID] = true
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("described are\n%s\nbut there are\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestDescriptionHasTypes: the schemas are those of the Go types, field by field.
func TestDescriptionHasTypes(t *testing.T) {
	d := described(t)
	known := map[string]bool{}
	for _, v := range []any{
		Status{},
		Worker{},
		Loader{},
		Failing{},
		Lease{},
		Sizing{},
		Overlap{},
		Request{},
		CrashLoop{},
		LoaderFailing{},
		Incidents{},
		History{},
		Point{},
		Incident{},
		HeldRequest{},
		Counters{},
		Reload{},
		Health{},
		Scaling{},
		Scaled{},
		Recycling{},
		Recycled{},
		Stopped{},
		Upgrade{},
		Error{},
		State(""), Condition(""), MemoryKind(""),
	} {
		of := reflect.TypeOf(v)
		known[of.Name()] = true
		s := d.Components.Schemas[of.Name()]
		if s == nil {
			t.Errorf("no schema %s", of.Name())
			continue
		}
		if of.Kind() == reflect.Struct {
			compareStruct(t, of, s)
		}
	}
	for name := range d.Components.Schemas {
		if !known[name] {
			t.Errorf("schema %s is of no type", name)
		}
	}
	compareEnum(t, d.Components.Schemas["State"], Starting, Running, Reloading, Stopping)
	compareEnum(t, d.Components.Schemas["Condition"], FleetStopping, FleetReloading, FleetCrashLoop, FleetReady, FleetStarting, FleetDegraded)
	compareEnum(t, d.Components.Schemas["Reload"].Properties["result"], None, Underway, OK, RolledBack)
	compareEnum(t, d.Components.Schemas["Upgrade"].Properties["result"], None, Underway, OK, Refused)
	compareEnum(t, d.Components.Schemas["MemoryKind"], PSS, RSS)
	restarts := d.Components.Schemas["Counters"].Properties["restarts"]
	for _, r := range Reasons() {
		if restarts.Properties[string(r)] == nil || !slices.Contains(restarts.Required, string(r)) || len(restarts.Properties) != len(Reasons()) {
			t.Errorf("restarts has no %s, or reasons that do not exist", r)
		}
	}
}

func compareStruct(t *testing.T, of reflect.Type, s *schema) {
	t.Helper()
	fields := map[string]bool{}
	for f := range of.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		fields[name] = true
		p := s.Properties[name]
		if p == nil {
			t.Errorf("%s has no %s", of.Name(), name)
			continue
		}
		want := kindOf(f.Type)
		if f.Type.Kind() == reflect.Pointer && !strings.HasPrefix(options, "omit") {
			want += " or null"
		}
		if got := p.kind(); got != want {
			t.Errorf("%s.%s is %s, not %s", of.Name(), name, got, want)
		}
		if optional := strings.HasPrefix(options, "omit"); optional == slices.Contains(s.Required, name) {
			t.Errorf("%s.%s: optional is %v, required says otherwise", of.Name(), name, optional)
		}
		if p.Ref == "" && p.Description == "" {
			t.Errorf("%s.%s has no description", of.Name(), name)
		}
	}
	for name := range s.Properties {
		if !fields[name] {
			t.Errorf("%s has no field for %s", of.Name(), name)
		}
	}
}

// kind names what a schema is of.
func (s *schema) kind() string {
	switch {
	case len(s.OneOf) > 0:
		var all []string
		for _, one := range s.OneOf {
			all = append(all, one.kind())
		}
		return strings.Join(all, " or ")
	case s.Ref != "":
		return strings.TrimPrefix(s.Ref, "#/components/schemas/")
	case s.Type.has("array"):
		return "array of " + s.Items.kind()
	}
	return strings.Join(s.Type, " or ")
}

// kindOf is what the kind of a Go type is to be. A string type may have a schema
// of its own, or be described where it is used.
func kindOf(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Pointer:
		return kindOf(of.Elem())
	case reflect.Slice:
		return "array of " + kindOf(of.Elem())
	case reflect.Struct:
		return of.Name()
	case reflect.Map:
		return "object"
	case reflect.Bool:
		return "boolean"
	case reflect.Float64:
		return "number"
	case reflect.String:
		if of == reflect.TypeFor[State]() || of == reflect.TypeFor[Condition]() || of == reflect.TypeFor[MemoryKind]() {
			return of.Name()
		}
		return "string"
	}
	return "integer"
}

func compareEnum[T ~string](t *testing.T, s *schema, want ...T) {
	t.Helper()
	var got []T
	for _, v := range s.Enum {
		got = append(got, T(v.(string)))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the values are %q, want %q", got, want)
	}
}

// TestDescriptionHolds asks for everything there is, in all its variants, and
// holds each answer against the description.
func TestDescriptionHolds(t *testing.T) {
	d := described(t)
	seen := map[string]bool{}
	for _, c := range calls {
		recorder := httptest.NewRecorder()
		NewHandler(c.master()).ServeHTTP(recorder, httptest.NewRequest(c.method, c.target, strings.NewReader(c.body)))
		path, query, _ := strings.Cut(c.target, "?")
		o := d.Paths[path][strings.ToLower(c.method)]
		name := fmt.Sprintf("%s %s %s", c.method, c.target, c.body)
		answer, ok := o.Responses[fmt.Sprint(recorder.Code)]
		if !ok {
			t.Errorf("%s: status %d is not described: %s", name, recorder.Code, recorder.Body)
			continue
		}
		seen[fmt.Sprint(c.method, path, recorder.Code)] = true
		var value any
		if err := json.Unmarshal(recorder.Body.Bytes(), &value); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := d.check(answer.Content["application/json"].Schema, value); err != nil {
			t.Errorf("%s: %v in %s", name, err, recorder.Body)
		}
		if parameter, _, _ := strings.Cut(query, "="); parameter != "" && !slices.ContainsFunc(o.Parameters, func(p struct{ Name, In, Description string }) bool { return p.Name == parameter }) {
			t.Errorf("%s: the parameter is not described", name)
		}
	}
	for path, operations := range d.Paths {
		for method, o := range operations {
			for status := range o.Responses {
				if !seen[fmt.Sprint(strings.ToUpper(method), path, status)] {
					t.Errorf("%s %s never answers %s", method, path, status)
				}
			}
		}
	}
}

// check says what in a value contradicts a schema, or has no place in it.
func (d *description) check(s *schema, value any) error {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		s = d.Components.Schemas[name]
	}
	if len(s.OneOf) > 0 {
		var err error
		for _, one := range s.OneOf {
			if err = d.check(one, value); err == nil {
				return nil
			}
		}
		return err
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
		return fmt.Errorf("%v is not one of %v", value, s.Enum)
	}
	switch v := value.(type) {
	case map[string]any:
		if !s.Type.has("object") {
			return fmt.Errorf("an object is not a %v", s.Type)
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return fmt.Errorf("no %s", name)
			}
		}
		for name, field := range v {
			if s.Properties == nil {
				continue
			}
			if s.Properties[name] == nil {
				return fmt.Errorf("%s is not described", name)
			}
			if err := d.check(s.Properties[name], field); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	case []any:
		for _, element := range v {
			if err := d.check(s.Items, element); err != nil {
				return err
			}
		}
	case float64:
		if !s.Type.has("number") && (!s.Type.has("integer") || v != math.Trunc(v)) || s.Minimum != nil && v < *s.Minimum {
			return fmt.Errorf("%v is not a good %v", v, s.Type)
		}
	case string:
		if !s.Type.has("string") {
			return fmt.Errorf("%q is not a %v", v, s.Type)
		}
	case bool:
		if !s.Type.has("boolean") {
			return fmt.Errorf("%v is not a %v", v, s.Type)
		}
	case nil:
		if !s.Type.has("null") {
			return fmt.Errorf("null")
		}
	}
	return nil
}
