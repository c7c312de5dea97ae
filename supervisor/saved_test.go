//go:build linux

package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/handover"
	"github.com/gosuper/gosuper/supervisor/internal/state"
	"github.com/gosuper/gosuper/supervisor/internal/tally"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// TestHardLimitOfOthers: a version that knew only written limits has said nothing
// beside them.
func TestHardLimitOfOthers(t *testing.T) {
	for written, want := range map[config.Size]config.Size{0: 0, config.GiB: config.GiB, config.SizeAuto: 0} {
		c, err := json.Marshal(&config.Config{MaxWorkerMemoryHard: written})
		if err != nil {
			t.Fatal(err)
		}
		for beside, want := range map[string]config.Size{"": want, `, "hard": 1048576`: config.MiB} {
			text := fmt.Sprintf(`{"current": 1, "fleet": {"current": {"number": 1}}, "revisions": [{"number": 1, "config": %s%s}]}`, c, beside)
			i, err := understand(&handover.State{Master: []byte(text)})
			if err != nil {
				t.Fatal(err)
			}
			if got := i.master.revisions.Current.Memory.Hard; got != want {
				t.Errorf("%s: %s, want %s", text, got, want)
			}
		}
	}
}

// first is what the first version wrote.
func first(t *testing.T) *Inheritance {
	t.Helper()
	master, err := os.ReadFile("testdata/state-1.json")
	if err != nil {
		t.Fatal(err)
	}
	i, err := understand(&handover.State{Version: 1, Master: master})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// A version that did not ask how much memory there is leaves workers that are replaced as it
// allows all the same.
func TestOverlapOfOthers(t *testing.T) {
	i := first(t)
	actions := i.master.fleet.Step(time.Now(), fleet.Exited{ID: 3}) // which leaves a place to replace worker 2 beside it
	if !slices.Contains(actions, fleet.Action(fleet.Weigh{})) {
		t.Errorf("it does %v", actions)
	}
}

// What the first version wrote is understood for ever. The file is not to be
// changed; a field that is given up has to be read on.
func TestFirstState(t *testing.T) {
	i := first(t)
	s := i.master
	_, generation := s.fleet.Revision()
	w := s.roster.Of(2)
	s.books.Started(100, time.Now())
	s.books.Read(100, time.Now(), tally.Reading{}) // until a board was read nobody is told what boards count
	last, counters := s.books.EndingOf(1), s.books.Counters(0)
	for _, fact := range []struct {
		what  string
		holds bool
	}{
		{"configuration", i.Config().Workers.N == 2 && i.Config().Command[0] == "/bin/true" && i.Config().KeepAlive == 5*time.Second},
		{"program", i.Program().Path == "/usr/bin/gosuper" && len(i.Program().Args) == 3},
		{"brain", generation == 2 && s.fleet.Target() == 2 && s.fleet.Alive() == s.roster.Len()},
		{"workers", w.PID == 8388610 && w.Says == "ready ü"},
		{"counters", *counters.InnocentsLost == 7 && counters.Restarts[control.Crash] == 1 && s.books.RestartsOf(0) == 2},
		{"sockets", s.revisions.Current.Sockets.Len() == 1 && len(s.sockets.Leaving()) == 1},
		{"last words", last.Status == "exit status 3"},
	} {
		if !fact.holds {
			t.Errorf("%s: %+v", fact.what, s)
		}
	}
}

func TestStatesWithHoles(t *testing.T) {
	for text, problem := range map[string]string{
		`{}`: "no configuration is in force",
		`{"current": 1, "revisions": [{"number": 1}]}`:                                                                               "revision 1 has no configuration",
		`{"current": 1, "revisions": [{"number": 1, "config": {}}]}`:                                                                 "there is no fleet",
		`{"current": 1, "revisions": [{"number": 1, "config": {}, "set": 3}], "fleet": {"current": {"number": 1}}}`:                  "there is no 3 in sockets.sets",
		`{"current": 1, "revisions": [{"number": 1, "config": {}}], "sockets": {"sets": [{}]}, "fleet": {"current": {"number": 2}}}`: "there is no revision 2",
		`{"current": 1, "revisions": [{"number": 1, "config": {}}], "sockets": {"sets": [{}]},
			"fleet": {"current": {"number": 1}, "workers": [{"id": 5, "state": "ready", "revision": 1}]}}`: "there is no worker 5",
		`[]`: "cannot unmarshal",
	} {
		if _, err := understand(&handover.State{Master: []byte(text)}); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s\n%v, want %q", text, err, problem)
		}
	}
}

// What masters wrote is read, all of it: who reads it could write the same again.
// The second file is what a master wrote whose workers drained, crashed and waited,
// with an access log, a store of the service manager, and incidents. The third is of
// one with a loader, a pipe for each stream of its workers, and those that a process
// writes to which outlives its worker. The fourth is of one with a spare, whose number of
// workers follows the demand, with leases, an incident, and the picture of the last hour.
func TestStoredStates(t *testing.T) {
	for _, test := range []struct {
		file    string
		givenUp []string // patterns of what is known from elsewhere, not needed, or has become another fact
	}{
		{"testdata/state-1.json", []string{"workers.announced", "workers.why", "workers.until", "workers.revision", "workers.stuck", "leaving", "words", "up", "revisions.config.Limits.NoNewPrivs"}},
		{"testdata/state-2.json", []string{"workers.announced", "workers.cooperates", "workers.why", "workers.until", "workers.revision", "up", "tally.workers.*.at", "tally.workers.*.credit"}},
		{"testdata/state-3.json", []string{"up"}},
		{"testdata/state-4.json", nil},
	} {
		master, err := os.ReadFile(test.file)
		if err != nil {
			t.Fatal(err)
		}
		i, err := understand(&handover.State{Version: 1, Master: master})
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := state.Write(&i.saved, scoreboard.Epoch())
		if err != nil {
			t.Fatal(err)
		}
		if lost := lost(t, master, again, test.givenUp); len(lost) > 0 {
			t.Errorf("%s: lost is %v", test.file, lost)
		}
	}
}

// withSockets puts the sockets of a state where they are referred to: their order
// means nothing.
func withSockets(state any) any {
	root := state.(map[string]any)
	tables, _ := root["sockets"].(map[string]any)
	delete(root, "sockets")
	var resolve func(any) any
	resolve = func(all any) any {
		switch all := all.(type) {
		case []any:
			for i := range all {
				all[i] = resolve(all[i])
			}
		case map[string]any:
			for key, one := range all {
				table, ok := map[string]string{"listener": "listeners", "set": "sets", "admin": "sets", "activated": "sets", "stored": "sets"}[key]
				if n, isNumber := one.(float64); ok && isNumber && n >= 0 {
					one = tables[table].([]any)[int(n)]
				}
				all[key] = resolve(one)
			}
		}
		return all
	}
	return resolve(root)
}

// lost are the facts of a text of JSON that are not in another one, which leaves out
// zero values.
func lost(t *testing.T, before, after []byte, givenUp []string) (lost []string) {
	t.Helper()
	var was, is any
	if err := errors.Join(json.Unmarshal(before, &was), json.Unmarshal(after, &is)); err != nil {
		t.Fatal(err)
	}
	var compare func(path string, was, is any)
	compare = func(path string, was, is any) {
		if slices.ContainsFunc(givenUp, func(pattern string) bool { ok, _ := filepath.Match(pattern, path); return ok }) {
			return
		}
		switch was := was.(type) {
		case map[string]any:
			is, _ := is.(map[string]any)
			for key, one := range was {
				compare(strings.TrimPrefix(path+"."+key, "."), one, is[key])
			}
		case []any:
			is, _ := is.([]any)
			for i, one := range was {
				if i == len(is) {
					lost = append(lost, path)
					return
				}
				compare(path, one, is[i])
			}
		default:
			if was != is && !(is == nil && reflect.ValueOf(was).IsZero()) {
				lost = append(lost, fmt.Sprintf("%s: %v, is %v", path, was, is))
			}
		}
	}
	compare("", withSockets(was), withSockets(is))
	return lost
}

// Each fact says whether the next image has it, too.
func TestNoFactIsForgotten(t *testing.T) {
	if untold := state.Untold(reflect.TypeFor[saved]()); len(untold) > 0 {
		t.Errorf("an upgrade would lose %v: tag them with their name in the state, or as transient", untold)
	}
}
