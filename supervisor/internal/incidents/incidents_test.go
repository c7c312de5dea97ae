//go:build linux

package incidents

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// TestBounded: whatever workers write.
func TestBounded(t *testing.T) {
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
		got := Incident{Lines: test.lines}.bounded().Lines
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %d lines, %d bytes, want %d", test.name, len(got), size(got), size(test.want))
		}
		if size(got) > MaxText+3 {
			t.Errorf("%s: %d bytes", test.name, size(got))
		}
	}
	stacks := slices.Repeat([]string{"goroutine 1", "main.main()"}, MaxStacks)
	got := Incident{Stacks: stacks}.bounded().Stacks
	if size(got) > MaxStacks+4 || got[0] != "goroutine 1" || got[len(got)-1] != "..." {
		t.Errorf("%d bytes of stacks, from %q to %q", size(got), got[0], got[len(got)-1])
	}
}

// TestBoundedTogether: the newest are kept whole, and of the others what the log has of
// them, however much all of them had.
func TestBoundedTogether(t *testing.T) {
	var all Incidents
	for id := range 3 * Most {
		held := Held{Known: true, Requests: make([]Request, 252)}
		all.Enter(Incident{Worker: id + 1, Held: held, Stacks: []string{strings.Repeat("x", MaxStacks-1)}})
	}
	requests, stacks := 0, 0
	for n, one := range all.All {
		requests += len(one.Held.Requests)
		stacks += size(one.Stacks)
		if len(one.Held.Requests)+one.Held.More != 252 || len(one.Held.Requests) < logged {
			t.Errorf("incident %d has %d requests and %d more", n, len(one.Held.Requests), one.Held.More)
		}
	}
	if newest := all.All[Most-1]; len(all.All) != Most || len(newest.Held.Requests) != 252 || newest.Stacks == nil || newest.Worker != 3*Most {
		t.Errorf("%d are kept, the newest is %+v", len(all.All), newest)
	}
	if requests > mostRequests+Most*logged || stacks > mostStacks {
		t.Errorf("%d requests and %d bytes of stacks are kept", requests, stacks)
	}
}

// TestResume: what was written down is read again, by a version with fewer facts as well.
func TestResume(t *testing.T) {
	var before, after Incidents
	before.Enter(Incident{
		Worker: 2, At: time.Unix(2, 0).UTC(), Reason: "crash", Memory: 1 << 20, MemoryKind: "pss", Lost: new(uint64(1)),
		Held: Held{Known: true, Requests: []Request{{Method: "GET", Path: "/", Age: time.Second, Sent: Begun}}, More: 3}, Stacks: []string{"main"},
	})
	text, err := json.Marshal(before)
	if err == nil {
		err = json.Unmarshal(text, &after)
	}
	if err != nil {
		t.Fatal(err)
	}
	after.Resume(Incident{Worker: 1, Status: "exit status 1"})
	if last, ok := after.Last(func(Incident) bool { return true }); !ok || !reflect.DeepEqual(last, before.All[0]) || len(after.All) != 2 {
		t.Errorf("there are %+v", after.All)
	}
	if shown := after.Answer(time.Unix(3, 0)).Incidents; len(shown) != 1 || shown[0].Worker != 2 {
		t.Errorf("shown are %+v", shown)
	}
}

// TestCounts: an upgrade counts none twice, and workers cannot make up more reasons than
// are kept.
func TestCounts(t *testing.T) {
	var all Incidents
	all.Enter(Incident{Reason: "reload"})
	for n := range 100 {
		all.Enter(Incident{Reason: fmt.Sprintf("own_%d", n)})
		all.Enter(Incident{Reason: "crash"})
	}
	all.Enter(Incident{Reason: "own_1"})
	all.Resume(Incident{Reason: "older"})
	counts := all.Counts()
	if len(counts) != 3+mostOwn || counts["crash"] != 100 || counts["own_1"] != 2 || counts["other"] != 100-mostOwn || counts["reload"] != 1 {
		t.Errorf("the counts are %v", counts)
	}
}

func TestReason(t *testing.T) {
	retired := func(why fleet.Reason, state fleet.State) fleet.Bury {
		return fleet.Bury{Worker: fleet.Worker{Why: why, State: state}, Verdict: fleet.Retired}
	}
	for _, test := range []struct {
		end  fleet.Bury
		want string
	}{
		{fleet.Bury{Verdict: fleet.Crashed, Reason: fleet.ReasonCrash}, "crash true"},
		{fleet.Bury{Verdict: fleet.BootFailed, Reason: fleet.ReasonStartup}, "startup true"},
		{retired(fleet.ReasonReload, fleet.Draining), "reload false"},
		{retired(fleet.ReasonReload, fleet.Killed), "reload true"},
		{retired(fleet.ReasonTimeout, fleet.Draining), "timeout true"},
		{retired("cuda_error", fleet.Draining), "cuda_error true"},
	} {
		reason, is := Reason(test.end)
		if got := fmt.Sprint(reason, " ", is); got != test.want {
			t.Errorf("%+v: %s, want %s", test.end, got, test.want)
		}
	}
}
