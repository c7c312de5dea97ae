package books

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestIncidents(t *testing.T) {
	var all Incidents
	if _, found := all.Of(0); found {
		t.Error("there is an incident before the first")
	}
	for id := range 3 * MaxIncidents {
		all.Add(Incident{Worker: id, Slot: id % 2, Lines: []string{"last words"}})
	}
	if len(all.All) != MaxIncidents || all.All[0].Worker != 2*MaxIncidents {
		t.Errorf("%d are kept, from %d on", len(all.All), all.All[0].Worker)
	}
	if _, found := all.Of(2*MaxIncidents - 1); found {
		t.Error("a forgotten one is found")
	}
	if one, found := all.Of(2 * MaxIncidents); !found || !reflect.DeepEqual(one, all.All[0]) {
		t.Errorf("found %v: %+v", found, one)
	}
	if one, found := all.Last(func(i Incident) bool { return i.Slot == 0 }); !found || one.Worker != 3*MaxIncidents-2 {
		t.Errorf("found %v: %+v", found, one)
	}
}

// TestIncidentsAreBounded: whatever workers write.
func TestIncidentsAreBounded(t *testing.T) {
	long := strings.Repeat("ü", MaxText)
	for _, test := range []struct {
		name        string
		lines, want []string
	}{
		{"none", nil, nil},
		{"short", []string{"a", "b"}, []string{"a", "b"}},
		{"one that is long", []string{long}, []string{"..." + long[len(long)-MaxText+2:]}},
		{"a long one before", []string{"a", long, "b"}, []string{"..." + long[len(long)-MaxText+4:], "b"}},
		{"no room for the first", []string{"ü", long[:MaxText-2]}, []string{long[:MaxText-2]}},
	} {
		var all Incidents
		all.Add(Incident{Lines: test.lines})
		got := all.All[0].Lines
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %d lines, %d bytes, want %d", test.name, len(got), len(strings.Join(got, "\n")), len(strings.Join(test.want, "\n")))
		}
		if size := len(strings.Join(got, "\n")); size > MaxText+3 {
			t.Errorf("%s: %d bytes", test.name, size)
		}
	}
}
