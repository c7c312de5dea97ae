package state

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Write returns the text of the struct that v points to, and the descriptors in it.
// Moments are counted from the epoch.
func Write(v any, epoch time.Time) (text []byte, fds []int, err error) {
	w := writer{epoch: epoch, tables: map[string]*table{}}
	root := w.write(reflect.ValueOf(v).Elem()).(written)
	for path, t := range w.tables {
		first, second, _ := strings.Cut(path, ".")
		if root[first] == nil {
			root[first] = written{}
		}
		root[first].(written)[second] = t.all
	}
	if text, err = json.Marshal(root); err != nil {
		return nil, nil, fmt.Errorf("cannot write down the state: %w", err)
	}
	return text, w.fds, nil
}

type written map[string]any

// keeper readies itself for being written: it enters in its fields what is elsewhere,
// as a descriptor is. One that was read, and is not in use, has all in them.
type keeper interface{ Keep() }

type writer struct {
	epoch  time.Time
	tables map[string]*table
	fds    []int
}

// table holds the objects that others share.
type table struct {
	all []any
	at  map[any]int // by pointer
}

// write makes of a value what encoding/json makes a text of.
func (w *writer) write(v reflect.Value) any {
	switch t := v.Type(); {
	case t == timeType:
		if at := v.Interface().(time.Time); !at.IsZero() {
			return int64(at.Sub(w.epoch))
		}
		return nil
	case !kindOf(t).ours:
		if v.CanAddr() {
			return v.Addr().Interface() // which may have the methods
		}
		return v.Interface()
	case t.Kind() == reflect.Struct:
		o := written{}
		w.fill(o, v)
		return o
	case v.IsNil():
		return nil
	case t.Kind() == reflect.Pointer:
		return w.write(v.Elem())
	case t.Kind() == reflect.Slice:
		all := make([]any, v.Len())
		for i := range all {
			all[i] = w.writeShared(v.Index(i))
		}
		return all
	}
	o := written{}
	for _, key := range sortedKeys(v) {
		o[fmt.Sprint(key)] = w.writeShared(v.MapIndex(key))
	}
	return o
}

// fill writes the fields of a struct.
func (w *writer) fill(o written, v reflect.Value) {
	if !v.CanAddr() { // in a map
		copied := reflect.New(v.Type()).Elem()
		copied.Set(v)
		v = copied
	}
	if k, ok := v.Addr().Interface().(keeper); ok {
		k.Keep()
	}
	for _, f := range kindOf(v.Type()).fields {
		switch one := f.of(v); {
		case f.inline && one.Kind() == reflect.Pointer:
			if !one.IsNil() {
				w.fill(o, one.Elem())
			}
		case f.inline:
			w.fill(o, one)
		case f.fd:
			if one.Int() >= 0 {
				w.fds = append(w.fds, int(one.Int()))
			}
			o[f.name] = one.Int()
		case f.kind.table != "":
			o[f.name] = w.writeShared(one)
		case one.IsZero() && !f.kind.itself:
		case f.key != "":
			o[f.name] = w.list(one, f.key)
		default:
			o[f.name] = w.write(one)
		}
	}
}

// list makes a list of a map whose keys are numbers.
func (w *writer) list(v reflect.Value, key string) []any {
	list := make([]any, 0, v.Len())
	for _, n := range sortedKeys(v) {
		o := w.write(v.MapIndex(n)).(written)
		o[key] = n.Int()
		list = append(list, o)
	}
	return list
}

// sortedKeys are the keys of a map, by which the same state is always the same text.
func sortedKeys(m reflect.Value) []reflect.Value {
	return slices.SortedFunc(slices.Values(m.MapKeys()), func(a, b reflect.Value) int {
		if a.CanInt() {
			return cmp.Compare(a.Int(), b.Int())
		}
		return cmp.Compare(a.String(), b.String())
	})
}

// writeShared writes an object into its table and returns its index, -1 for nil;
// what is in no table is written here.
func (w *writer) writeShared(v reflect.Value) any {
	path := kindOf(v.Type()).table
	switch {
	case path == "":
		return w.write(v)
	case v.IsNil():
		return -1
	}
	t := w.tables[path]
	if t == nil {
		t = &table{at: map[any]int{}}
		w.tables[path] = t
	}
	n, known := t.at[v.Interface()]
	if !known {
		n = len(t.all)
		t.at[v.Interface()] = n
		t.all = append(t.all, nil)
		t.all[n] = w.write(v)
	}
	return n
}
