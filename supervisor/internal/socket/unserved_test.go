//go:build linux

package socket

import (
	"slices"
	"testing"
	"time"
)

func TestUnserved(t *testing.T) {
	s := listen(t, "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0")
	now := time.Now()
	var u Unserved
	look := func(after, next time.Duration, overdue bool) {
		t.Helper()
		at, late := u.Look(now.Add(after), s)
		if got := at.Sub(now); late != overdue || at.IsZero() != (next == 0) || next > 0 && got != next {
			t.Errorf("after %v: look again at %v, overdue %t; want %v, %t", after, got, late, next, overdue)
		}
	}
	look(0, 0, false)
	u.See([]bool{false, true, false}, true) // of which nobody can be sure
	if u.Any() {
		t.Error("what was not seen for sure is unserved")
	}
	u.See([]bool{true, false, false}, false)
	u.See([]bool{false, false, false}, false)
	look(0, 0, false) // nobody waits
	mustDial(t, s.URLs()[0])
	mustDial(t, s.URLs()[1])
	mustDial(t, s.URLs()[2])
	look(0, UnservedFor, false)
	look(UnservedFor/2, UnservedFor, false)
	if got := u.Tell(now.Add(UnservedFor / 2)); got != nil {
		t.Errorf("told too early of %v", got)
	}
	look(UnservedFor, 0, true)
	if got := u.Tell(now.Add(UnservedFor)); !slices.Equal(got, []int{2}) { // the others were served once, by somebody
		t.Errorf("told of %v, want the third alone", got)
	}
	u.See([]bool{false, false, false}, false)
	if u.Any() {
		t.Error("there are others still")
	}
}
