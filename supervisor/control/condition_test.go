//go:build linux

package control

import (
	"encoding/json"
	"testing"
)

// Where workers end or do not come, it is said why.
func TestSizingExplain(t *testing.T) {
	for _, test := range []struct {
		needed, target, room int
		blind                bool
		want                 string
	}{
		{4, 2, 0, false, "2 to 6 workers: 7 in flight and 9 waiting need 4, at 4 each, and so many follow soon: they double within a second at most"},
		{4, 3, 3, false, "2 to 6 workers: 7 in flight and 9 waiting need 4, at 4 each, and memory has room for 3"},
		{4, 4, 3, false, "2 to 6 workers: 7 in flight and 9 waiting need 4, at 4 each; memory has room for 3, and the others end one at a time"},
		{2, 2, 1, false, "2 to 6 workers: 7 in flight and 9 waiting need 2, at 4 each"},
		{4, 4, 3, true, "2 to 6 workers: requests of plain ones cannot be seen, so one more starts while connections wait (9), and none ends"},
		{8, 6, 7, false, "2 to 6 workers: 7 in flight and 9 waiting need 8, at 4 each, and more there may not be"},
		{2, 3, 5, false, "2 to 6 workers: 7 in flight and 9 waiting need 2, at 4 each; the others end when they were not needed for idle_timeout"},
	} {
		s := Sizing{Min: 2, Max: 6, TargetInFlight: 4, InFlight: 7, Waiting: 9, Needed: test.needed}
		if test.room > 0 {
			s.Room = &test.room
		}
		if s.Explain(test.target, test.blind); s.Why != test.want {
			t.Errorf("%+v: %q", test, s.Why)
		}
	}
}

// What an older master says is completed, and its zeros are not believed.
func TestStatusOfOlder(t *testing.T) {
	for _, test := range []struct {
		text    string
		ready   int
		known   bool
		unknown bool // something is
	}{
		{`{"state":"running","workers":[{"slot":0,"state":"ready","requests":0,"in_flight":0},{"slot":1,"state":"starting"}],"counters":{"requests":0,"timeouts":0}}`, 1, false, true},
		{`{"state":"running","workers":[{"slot":0,"state":"ready","cooperating":true,"requests":0,"in_flight":0},{"slot":0,"state":"ready"}],"counters":{"requests":0}}`, 1, true, true},
		{`{"state":"running","workers":[{"slot":0,"state":"ready","cooperating":true,"requests":3,"in_flight":1}],"counters":{"requests":3}}`, 1, true, false},
	} {
		var st Status
		if err := json.Unmarshal([]byte(test.text), &st); err != nil {
			t.Fatal(err)
		}
		st.ofOlder()
		if st.Condition != "running" || st.ReadyWorkers != test.ready {
			t.Errorf("%s: %s with %d ready", test.text, st.Condition, st.ReadyWorkers)
		}
		if (st.InFlight() != nil) != test.known || (st.Counters.Requests != nil) != test.known || (st.Unknown != "") != test.unknown {
			t.Errorf("%s: %v in flight, %+v, %q", test.text, st.InFlight(), st.Counters, st.Unknown)
		}
		for _, w := range st.Workers {
			if !w.Cooperating && (w.Requests != nil || w.InFlight != nil) {
				t.Errorf("%s: a plain worker has figures: %+v", test.text, w)
			}
		}
	}
	now := Status{Condition: FleetReady, ReadyWorkers: 7}
	if now.ofOlder(); now.ReadyWorkers != 7 {
		t.Error("what a master of now says was changed")
	}
}
