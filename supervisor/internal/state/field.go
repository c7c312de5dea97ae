package state

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
	"unsafe"
)

// field is what a struct says of one of its fields.
type field struct {
	at     int
	name   string
	fd     bool
	inline bool
	key    string // of a map that is a list; "": it is none
}

// fieldsOf are the fields that are written, and the path of the table that objects
// of the type are in; "": each is written where it is.
func fieldsOf(t reflect.Type) (fields []field, table string) {
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("state"), ",")
		key, list := strings.CutPrefix(option, "list=")
		switch {
		case option == "table":
			table = name
		case name == "-" || name == "" && option == "":
		case list:
			fields = append(fields, field{at: i, name: name, key: key})
		default:
			fields = append(fields, field{at: i, name: name, fd: option == "fd", inline: option == "inline"})
		}
	}
	return fields, table
}

// of returns the field of a struct, which is addressable, whether others may see it
// or not: its tag says that it may be seen here.
func (f field) of(v reflect.Value) reflect.Value {
	one := v.Field(f.at)
	return reflect.NewAt(one.Type(), unsafe.Pointer(one.UnsafeAddr())).Elem()
}

var timeType = reflect.TypeFor[time.Time]()

// tagged says whether a struct says what becomes of its fields.
func tagged(t reflect.Type) bool {
	for i := range t.NumField() {
		if _, ok := t.Field(i).Tag.Lookup("state"); ok {
			return true
		}
	}
	return false
}

// ours says whether values of the type are written here, and not by encoding/json.
func ours(t reflect.Type) bool {
	if t == timeType {
		return true
	}
	if writesItself(t) {
		return false
	}
	switch t.Kind() {
	case reflect.Struct:
		return tagged(t)
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return ours(t.Elem())
	}
	return false
}

func writesItself(t reflect.Type) bool {
	for _, one := range []reflect.Type{t, reflect.PointerTo(t)} {
		if one.Implements(reflect.TypeFor[json.Marshaler]()) || one.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			return true
		}
	}
	return false
}

// tableOf is the path of the table that what a pointer points to is in; "": none.
func tableOf(t reflect.Type) (path string) {
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		_, path = fieldsOf(t.Elem())
	}
	return path
}
