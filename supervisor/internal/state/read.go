package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Read takes over into the struct that v points to what [Write] has written, and
// returns the descriptors in it. Nothing is done with those.
func Read(text []byte, v any, epoch time.Time) (fds []int, err error) {
	r := reader{epoch: epoch, text: text, tables: map[string]*readTable{}}
	if err := r.read(text, reflect.ValueOf(v).Elem()); err != nil {
		return nil, fmt.Errorf("cannot read the state: %w", err)
	}
	return r.fds, nil
}

type reader struct {
	epoch  time.Time
	text   []byte
	tables map[string]*readTable
	fds    []int
}

// readTable holds the objects that others share, as far as somebody asked for them.
type readTable struct {
	texts []json.RawMessage
	made  map[int]reflect.Value
}

var null = []byte("null")

func (r *reader) read(text []byte, v reflect.Value) error {
	switch t := v.Type(); {
	case bytes.Equal(text, null):
		return nil
	case t == timeType:
		var moment time.Duration
		err := json.Unmarshal(text, &moment)
		if at := (time.Time{}); moment != 0 {
			at = r.epoch.Add(moment)
			v.Set(reflect.ValueOf(at))
		}
		return err
	case !ours(t):
		return json.Unmarshal(text, v.Addr().Interface())
	case t.Kind() == reflect.Struct:
		return r.fill(text, v)
	case tableOf(t) != "":
		return r.readShared(text, v, tableOf(t))
	case t.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		return r.read(text, v.Elem())
	case t.Kind() == reflect.Slice:
		var texts []json.RawMessage
		if err := json.Unmarshal(text, &texts); err != nil {
			return err
		}
		v.Set(reflect.MakeSlice(t, len(texts), len(texts)))
		for i, one := range texts {
			if err := r.read(one, v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	}
	var texts map[string]json.RawMessage
	if err := json.Unmarshal(text, &texts); err != nil {
		return err
	}
	for key, one := range texts {
		if err := r.put(v, key, one); err != nil {
			return err
		}
	}
	return nil
}

// fill reads the fields of a struct.
func (r *reader) fill(text []byte, v reflect.Value) error {
	var texts map[string]json.RawMessage
	if err := json.Unmarshal(text, &texts); err != nil {
		return err
	}
	fields, _ := fieldsOf(v.Type())
	for _, f := range fields {
		one, said := f.of(v), texts[f.name]
		if f.inline {
			said = text
		}
		if f.fd {
			one.SetInt(-1)
		}
		if said == nil {
			continue
		}
		read := r.read
		if f.key != "" {
			read = func(text []byte, v reflect.Value) error { return r.readList(text, v, f.key) }
		}
		if err := read(said, one); err != nil {
			return fmt.Errorf("%s: %w", v.Type().Field(f.at).Name, err)
		}
		if f.fd && one.Int() >= 0 {
			r.fds = append(r.fds, int(one.Int()))
		}
	}
	return nil
}

// put reads one value of a map.
func (r *reader) put(m reflect.Value, key string, text []byte) error {
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
	if err := r.read(text, v); err != nil {
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
	var texts []json.RawMessage
	if err := json.Unmarshal(text, &texts); err != nil {
		return err
	}
	for _, one := range texts {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(one, &object); err != nil {
			return err
		}
		if err := r.put(m, string(object[key]), one); err != nil {
			return err
		}
	}
	return nil
}

// readShared returns an object that others share by its index in the table.
func (r *reader) readShared(text []byte, v reflect.Value, path string) error {
	n := 0
	if err := json.Unmarshal(text, &n); err != nil {
		return err
	}
	if n == -1 {
		return nil
	}
	t := r.tables[path]
	if t == nil {
		t = &readTable{made: map[int]reflect.Value{}}
		first, second, _ := strings.Cut(path, ".")
		var root map[string]json.RawMessage
		var tables map[string]json.RawMessage
		if json.Unmarshal(r.text, &root) == nil && json.Unmarshal(root[first], &tables) == nil {
			if err := json.Unmarshal(tables[second], &t.texts); err != nil {
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
