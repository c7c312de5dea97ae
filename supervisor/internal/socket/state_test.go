//go:build linux

package socket

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/state"
)

// successors are the sets that take the place of these.
func successors(t *testing.T, sets ...*Set) []*Set {
	t.Helper()
	type all struct {
		Sets []*Set `state:"all"`
	}
	text, _, err := state.Write(&all{sets}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	var restored all
	if _, err := state.Read(text, &restored, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	return restored.Sets
}

func TestRestoredSetsShareTheirSockets(t *testing.T) {
	path := t.TempDir() + "/s"
	before := listen(t, "127.0.0.1:0", "unix:"+path, "[::1]:0")
	after, err := Open(mustParse(t, "unix:"+path, "127.0.0.1:0"), Options{Backlog: 7, Mode: 0o600, UID: 3, GID: 4}, before)
	if err != nil {
		t.Fatal(err)
	}
	passed := &Set{entries: []entry{{Address{kind: passed, fd: 3}, "web", 2, after.entries[0].listener}}}

	sets := []*Set{before, after, passed}
	restored := successors(t, before, after, passed, nil)
	for i, set := range sets {
		if !reflect.DeepEqual(restored[i], set) {
			t.Errorf("set %d was %+v and is %+v", i, set, restored[i])
		}
	}
	if restored[3].Len() != 0 {
		t.Errorf("a set of nothing has %v", restored[3].Fds(0))
	}
	if bits := restored[0].Bits(restored[1]); bits != 0b011 {
		t.Errorf("shared: %b", bits)
	}
	gone := restored[0].Without(restored[1])
	if err := gone.Close(); err != nil || !slices.Contains(restored[0].Fds(0), -1) {
		t.Errorf("closing what only the first has: %v, %v is left", err, restored[0].Fds(0))
	}
	// The path is still known as one that was made here.
	if err := restored[1].Close(); err != nil {
		t.Error(err)
	}
	if _, err := dial(t, "unix://"+path); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("the path after Close: %v", err)
	}
	for _, e := range before.entries { // their numbers may be another's by now
		e.fd = -1
	}
}
