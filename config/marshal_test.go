package config

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
	"unsafe"
)

// fill gives everything in a value another value than it has.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	if !v.CanSet() { // a field that is not exported
		v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.String:
		v.SetString(string(rune('a'+*n%26)) + "ä\"\n")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 8)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(uint64(*n) % 256)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(t, v.Index(i), n)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, n)
		fill(t, value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	default:
		t.Fatalf("cannot fill a %v", v.Type())
	}
}

// A saved configuration has every field of the one that was loaded, also those
// that are nobody's key.
func TestSavedWhole(t *testing.T) {
	c := Default()
	n := 0
	fill(t, reflect.ValueOf(c).Elem(), &n)
	c.started = started{"/bin:/not utf8 \xff", "/venv", "/bin/gosuper"}
	if got := saveAndRead(t, c); !reflect.DeepEqual(c, got) {
		t.Errorf("saved\n%+v\nand read\n%+v", c, got)
	}
	if got := saveAndRead(t, Default()); !reflect.DeepEqual(Default(), got) {
		t.Errorf("the default, saved and read: %+v", got)
	}
}

func saveAndRead(t *testing.T, c *Config) *Config {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	got := new(Config)
	if err := json.Unmarshal(text, got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSavedByAnother(t *testing.T) {
	var c Config
	text := `{"Command": ["a"], "Bind": [":1"], "Timeout": 5000000000, "FromTheFuture": {"x": 1}, "Restart": {"Laughs": 2}}`
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Command, want.Bind, want.Timeout = []string{"a"}, []string{":1"}, 5*time.Second
	if !reflect.DeepEqual(&c, want) {
		t.Errorf("read %+v\nwant %+v", c, want)
	}
	if err := json.Unmarshal([]byte(`{"Command": 1}`), &c); err == nil {
		t.Error("a command that is a number was read")
	}
}
