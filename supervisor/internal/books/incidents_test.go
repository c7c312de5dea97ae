//go:build linux

package books

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

func TestIncidents(t *testing.T) {
	now := time.Unix(1000, 0).UTC()
	b := New(now)
	if e := b.EndingOf(0); e.Status != "" || len(b.Incidents(now).Incidents) > 0 {
		t.Errorf("there is an incident before the first: %+v", e)
	}
	for id := range 3 * MaxIncidents {
		b.Enter(Incident{Worker: id, Slot: id % 2, At: now, Age: 1500 * time.Millisecond, Reason: "crash", Status: "exit status 3", Lines: []string{"last"}})
	}
	all := b.Incidents(now.Add(2 * time.Second)).Incidents
	want := control.Incident{
		Worker: 3*MaxIncidents - 1, Slot: 1, At: "1970-01-01T00:16:40Z", AgoSeconds: 2, Reason: "crash", Status: "exit status 3",
		AgeSeconds: 1.5, LastLines: []string{"last"},
	}
	if len(all) != MaxIncidents || !reflect.DeepEqual(all[0], want) {
		t.Errorf("%d are kept, the newest is %+v, want %+v", len(all), all[0], want)
	}
	if e := b.EndingOf(2*MaxIncidents - 1); e.Status != "" {
		t.Errorf("a forgotten one is found: %+v", e)
	}
	if got := b.EndingOf(2 * MaxIncidents).Of(7); got != "worker 7: exit status 3; its last lines:\n  last" {
		t.Errorf("found %q", got)
	}
	loop := b.CrashLoop(fleet.Summary{Looping: []int{0}, Crashes: 2, Next: now.Add(time.Second)}, now)
	if loop.Worker != 3*MaxIncidents-2 || loop.Status != "exit status 3" || loop.NextSeconds != 1 {
		t.Errorf("the crash loop is %+v", loop)
	}
	if loop := b.CrashLoop(fleet.Summary{}, now); loop != nil {
		t.Errorf("without one there is %+v", loop)
	}
}

// TestOlderIncidents: those of a version that kept no more than last lines explain an
// end, and are not shown.
func TestOlderIncidents(t *testing.T) {
	b := New(time.Time{})
	b.Enter(Incident{Worker: 2, At: time.Unix(1, 0), Status: "exit status 2"})
	b.Resume(Incident{Worker: 1, Status: "exit status 1"})
	if got := b.EndingOf(1).Of(1); got != "worker 1: exit status 1; it wrote nothing" {
		t.Errorf("the first ended so: %s", got)
	}
	if all := b.Incidents(time.Unix(2, 0)).Incidents; len(all) != 1 || all[0].Worker != 2 {
		t.Errorf("shown are %+v", all)
	}
}

// TestHint: what kept a worker from being started comes with what to do about it.
func TestHint(t *testing.T) {
	b := New(time.Time{})
	b.NotStarted("no such file", "install it")
	b.Enter(Incident{Worker: 1, Status: "no such file"})
	b.Enter(Incident{Worker: 2, Status: "exit status 1"})
	for worker, want := range map[int]string{1: "worker 1: no such file (install it)", 2: "worker 2: exit status 1; it wrote nothing"} {
		if got := b.EndingOf(worker).Of(worker); got != want {
			t.Errorf("%q, want %q", got, want)
		}
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
		var all incidents
		all.add(Incident{Lines: test.lines})
		got := all.All[0].Lines
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %d lines, %d bytes, want %d", test.name, len(got), len(strings.Join(got, "\n")), len(strings.Join(test.want, "\n")))
		}
		if size := len(strings.Join(got, "\n")); size > MaxText+3 {
			t.Errorf("%s: %d bytes", test.name, size)
		}
	}
}
