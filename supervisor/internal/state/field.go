package state

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
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
	kind   *kind
}

// of returns the field of a struct, which is addressable, whether others may see it
// or not: its tag says that it may be seen here.
func (f *field) of(v reflect.Value) reflect.Value {
	one := v.Field(f.at)
	return reflect.NewAt(one.Type(), unsafe.Pointer(one.UnsafeAddr())).Elem()
}

// kind is what there is to know of a type.
type kind struct {
	ours   bool    // its values are written here, and not by encoding/json
	itself bool    // it has methods for that
	fields []field // of a struct, those that are written
	table  string  // path of the table that what it points to is in; "": each is written where it is
}

var (
	timeType = reflect.TypeFor[time.Time]()

	kinds   = map[reflect.Type]*kind{}
	kindsMu sync.Mutex
)

func kindOf(t reflect.Type) *kind {
	kindsMu.Lock()
	defer kindsMu.Unlock()
	return findKind(t)
}

// findKind is kindOf for who has the lock.
func findKind(t reflect.Type) *kind {
	if k := kinds[t]; k != nil {
		return k
	}
	k := &kind{itself: t != timeType && writesItself(t)}
	kinds[t] = k // first, since types refer to each other
	switch {
	case t == timeType:
		k.ours = true
	case k.itself:
	case t.Kind() == reflect.Struct:
		k.ours = tagged(t)
		k.fields, _ = fieldsOf(t)
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Slice, t.Kind() == reflect.Map:
		k.ours = findKind(t.Elem()).ours
		if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
			_, k.table = fieldsOf(t.Elem())
		}
	}
	return k
}

// fieldsOf are the fields that are written, and the path of the table that objects
// of the type are in.
func fieldsOf(t reflect.Type) (fields []field, table string) {
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("state"), ",")
		key, _ := strings.CutPrefix(option, "list=")
		switch {
		case option == "table":
			table = name
		case name == "-" || name == "" && option == "":
		default:
			f := field{at: i, name: name, fd: option == "fd", inline: option == "inline", kind: findKind(t.Field(i).Type)}
			if key != option {
				f.key = key
			}
			fields = append(fields, f)
		}
	}
	return fields, table
}

// tagged says whether a struct says what becomes of its fields.
func tagged(t reflect.Type) bool {
	for i := range t.NumField() {
		if _, ok := t.Field(i).Tag.Lookup("state"); ok {
			return true
		}
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
