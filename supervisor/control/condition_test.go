//go:build linux

package control

import (
	"encoding/json"
	"testing"
)

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
