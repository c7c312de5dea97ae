//go:build linux

package books

import (
	"reflect"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
)

func TestIncidents(t *testing.T) {
	now := time.Unix(1000, 0).UTC()
	b := New(now)
	if e := b.EndingOf(0); e.Status != "" || len(b.Incidents(now).Incidents) > 0 {
		t.Errorf("there is an incident before the first: %+v", e)
	}
	for id := range 3 * incidents.Most {
		b.Enter(incidents.Incident{Worker: id, Slot: id % 2, At: now, Age: 1500 * time.Millisecond, Reason: "crash", Status: "exit status 3", Lines: []string{"last"}})
	}
	all := b.Incidents(now.Add(2 * time.Second)).Incidents
	want := control.Incident{
		Process: control.WorkerProcess, Worker: 3*incidents.Most - 1, Slot: 1, At: "1970-01-01T00:16:40Z", AgoSeconds: 2, Reason: "crash", Status: "exit status 3",
		AgeSeconds: 1.5, MemoryKind: control.RSS, LastLines: []string{"last"}, Stacks: []string{},
	}
	if len(all) != incidents.Most || !reflect.DeepEqual(all[0], want) {
		t.Errorf("%d are kept, the newest is %+v, want %+v", len(all), all[0], want)
	}
	if e := b.EndingOf(2*incidents.Most - 1); e.Status != "" {
		t.Errorf("a forgotten one is found: %+v", e)
	}
	if got := b.EndingOf(2 * incidents.Most).Of(7); got != "worker 7: exit status 3; its last lines:\n  last" {
		t.Errorf("found %q", got)
	}
	loop := b.CrashLoop(fleet.Summary{Looping: []int{0}, Crashes: 2, Next: now.Add(time.Second)}, now)
	if loop.Worker != 3*incidents.Most-2 || loop.Status != "exit status 3" || loop.NextSeconds != 1 {
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
	b.Enter(incidents.Incident{Worker: 2, At: time.Unix(1, 0), Status: "exit status 2"})
	b.Resume(incidents.Incident{Worker: 1, Status: "exit status 1"})
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
	b.Enter(incidents.Incident{Worker: 1, Status: "no such file"})
	b.Enter(incidents.Incident{Worker: 2, Status: "exit status 1"})
	for worker, want := range map[int]string{1: "worker 1: no such file (install it)", 2: "worker 2: exit status 1; it wrote nothing"} {
		if got := b.EndingOf(worker).Of(worker); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
