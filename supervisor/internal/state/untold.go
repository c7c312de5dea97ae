package state

import (
	"fmt"
	"reflect"
)

// Untold returns the fields of the type, and of all that is written with it, that
// would be lost without having been named as transient. It is for a test of whoever has
// a state, which no other package can look through in the same way.
func Untold(t reflect.Type) []string {
	var u untold
	u.look(t, t.String())
	return u.fields
}

type untold struct {
	fields []string
	seen   map[reflect.Type]bool
}

func (u *untold) look(t reflect.Type, path string) {
	if u.seen[t] || t == timeType || writesItself(t) {
		return
	}
	if u.seen == nil {
		u.seen = map[reflect.Type]bool{}
	}
	u.seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		u.look(t.Elem(), path)
	case reflect.Struct:
		u.lookAtFields(t)
	case reflect.Func, reflect.Chan, reflect.Interface, reflect.UnsafePointer:
		u.fields = append(u.fields, fmt.Sprintf("%s cannot be written", path))
	}
}

func (u *untold) lookAtFields(t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		path := fmt.Sprintf("%v.%s", t, f.Name)
		name, says := f.Tag.Lookup("state")
		switch {
		case name == "-" || f.Name == "_":
		case says || !tagged(t) && f.IsExported():
			u.look(f.Type, path)
		default:
			u.fields = append(u.fields, path)
		}
	}
}
