package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Read takes over into the struct that v points to what [Write] has written, and
// returns the descriptors in it. Nothing is done with those.
func Read(text []byte, v any, epoch time.Time) (fds []int, err error) {
	r := reader{epoch: epoch, tables: map[string]*readTable{}}
	if r.root, err = parse[object](text); err == nil {
		err = r.fill(r.root, reflect.ValueOf(v).Elem())
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the state: %w", err)
	}
	return r.fds, nil
}

type (
	object = map[string]json.RawMessage
	list   = []json.RawMessage
)

func parse[T any](text []byte) (parsed T, err error) {
	err = json.Unmarshal(text, &parsed)
	return parsed, err
}

type reader struct {
	epoch  time.Time
	root   object
	tables map[string]*readTable
	fds    []int
}

// readTable holds the objects that others share, as far as somebody asked for them.
type readTable struct {
	texts list
	made  map[int]reflect.Value
}

var null = []byte("null")

func (r *reader) read(text []byte, v reflect.Value) error {
	switch t := v.Type(); {
	case bytes.Equal(text, null):
		return nil
	case t == timeType:
		moment, err := parse[time.Duration](text)
		if moment != 0 {
			v.Set(reflect.ValueOf(r.epoch.Add(moment)))
		}
		return err
	case !kindOf(t).ours:
		return json.Unmarshal(text, v.Addr().Interface())
	case kindOf(t).table != "":
		return r.readShared(text, v, kindOf(t).table)
	case t.Kind() == reflect.Pointer:
		return r.read(text, pointed(v))
	case t.Kind() == reflect.Slice:
		texts, err := parse[list](text)
		v.Set(reflect.MakeSlice(t, len(texts), len(texts)))
		for i := 0; i < len(texts) && err == nil; i++ {
			err = r.read(texts[i], v.Index(i))
		}
		return err
	}
	texts, err := parse[object](text)
	if err != nil || v.Kind() == reflect.Struct {
		return errors.Join(err, r.fill(texts, v))
	}
	for key, one := range texts {
		if err := r.put(v, key, func(v reflect.Value) error { return r.read(one, v) }); err != nil {
			return err
		}
	}
	return nil
}

// pointed is what a pointer points to, which is made if need be.
func pointed(v reflect.Value) reflect.Value {
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	return v.Elem()
}

// fill reads the fields of a struct, or of what a pointer to one points to.
func (r *reader) fill(texts object, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		v = pointed(v)
	}
	for _, f := range kindOf(v.Type()).fields {
		one, text := f.of(v), texts[f.name]
		if f.fd {
			one.SetInt(-1)
		}
		var err error
		switch {
		case f.inline:
			err = r.fill(texts, one)
		case text == nil:
		case f.key != "":
			err = r.readList(text, one, f.key)
		default:
			err = r.read(text, one)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", v.Type().Field(f.at).Name, err)
		}
		if f.fd && one.Int() >= 0 {
			r.fds = append(r.fds, int(one.Int()))
		}
	}
	return nil
}

// put reads one value of a map.
func (r *reader) put(m reflect.Value, key string, read func(reflect.Value) error) error {
	t := m.Type()
	k, v := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
	if k.Kind() == reflect.String {
		k.SetString(key)
	} else {
		n, err := strconv.ParseInt(key, 10, 64)
		if err != nil {
			return err
		}
		k.SetInt(n)
	}
	if err := read(v); err != nil {
		return err
	}
	if m.IsNil() {
		m.Set(reflect.MakeMap(t))
	}
	m.SetMapIndex(k, v)
	return nil
}

// readList reads a map that was written as a list.
func (r *reader) readList(text []byte, m reflect.Value, key string) error {
	texts, err := parse[[]object](text)
	if err != nil {
		return err
	}
	for _, one := range texts {
		if err := r.put(m, string(one[key]), func(v reflect.Value) error { return r.fill(one, v) }); err != nil {
			return err
		}
	}
	return nil
}

// readShared returns an object that others share by its index in the table.
func (r *reader) readShared(text []byte, v reflect.Value, path string) error {
	n, err := parse[int](text)
	if err != nil || n == -1 {
		return err
	}
	t := r.tables[path]
	if t == nil {
		t = &readTable{made: map[int]reflect.Value{}}
		first, second, _ := strings.Cut(path, ".")
		if tables, err := parse[object](r.root[first]); err == nil { // else there are none
			if t.texts, err = parse[list](tables[second]); err != nil {
				return err
			}
		}
		r.tables[path] = t
	}
	if n < 0 || n >= len(t.texts) {
		return fmt.Errorf("there is no %d in %s", n, path)
	}
	if _, known := t.made[n]; !known {
		t.made[n] = reflect.New(v.Type().Elem())
		if err := r.read(t.texts[n], t.made[n].Elem()); err != nil {
			return err
		}
	}
	v.Set(t.made[n])
	return nil
}
