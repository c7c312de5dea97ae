//go:build linux

package reloads

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/state"
)

// told is what a waiter was told; None: nothing yet.
func told(w *Waiter) control.Reload {
	select {
	case r := <-w.Told():
		return r
	default:
		return control.Reload{Result: control.None}
	}
}

func expect(t *testing.T, what string, got control.Reload, result control.Result) {
	t.Helper()
	if got.Result != result {
		t.Errorf("%s: %+v, want %s", what, got, result)
	}
}

// TestNewestCounts: who waits for a reload waits for the one that takes its place.
func TestNewestCounts(t *testing.T) {
	r := New()
	expect(t, "before the first", r.Last(), control.None)
	first, second, third, impatient := NewWaiter(true), NewWaiter(true), NewWaiter(true), NewWaiter(false)
	a, superseded := r.Begin(first)
	if a == nil || superseded || !r.counts(a) || !r.Preparing() {
		t.Errorf("the first is not to be begun")
	}
	b, superseded := r.Begin(second, impatient)
	if b == nil || !superseded || r.counts(a) || !r.counts(b) || r.Begun() != 2 {
		t.Errorf("the second does not take the place of the first")
	}
	r.prepared() // the first
	expect(t, "in preparation", r.Last(), control.Underway)
	r.Start(7)
	r.prepared()
	expect(t, "who waits for the preparation alone", told(impatient), control.Underway)
	if r.Preparing() || r.Alive() != 0 || r.Waiting() != 2 {
		t.Errorf("%d are prepared, and %d wait", r.Alive(), r.Waiting())
	}
	if _, superseded := r.Begin(third); superseded {
		t.Error("one that has begun is superseded before it did")
	}
	r.Start(8)
	r.Follow(7, 8)
	expect(t, "who waits for what is superseded", told(first), control.None)
	r.Forget(third)
	r.End(8, control.Reload{Result: control.OK})
	for what, w := range map[string]*Waiter{"the first": first, "the second": second} {
		expect(t, what, told(w), control.OK)
	}
	expect(t, "who does not want to wait", told(third), control.None)
	expect(t, "the last", r.Last(), control.OK)
	if r.Waiting() != 0 || r.Refused() {
		t.Errorf("%d wait, refused %v", r.Waiting(), r.Refused())
	}
}

// TestMost: one more preparation begins when one comes back, and it is the newest.
func TestMost(t *testing.T) {
	r := New()
	for range Most {
		if p, _ := r.Begin(); p == nil {
			t.Fatal("there is no room for one")
		}
	}
	w := NewWaiter(true)
	for range 3 {
		if p, _ := r.Begin(w); p != nil {
			t.Fatal("there is room for too many")
		}
		w = NewWaiter(true)
	}
	next := r.prepared()
	if next == nil || !r.counts(next) || r.Alive() != Most {
		t.Errorf("none begins in the place of one that came back: %d", r.Alive())
	}
	if r.prepared() != nil || r.Alive() != Most-1 {
		t.Errorf("one too many begins: %d", r.Alive())
	}
}

func TestRefuseAndAbandon(t *testing.T) {
	r := New()
	r.Abandon()
	expect(t, "what never began", r.Last(), control.None)
	refused, abandoned, running := NewWaiter(false), NewWaiter(true), NewWaiter(true)
	r.Begin(refused)
	r.Refuse("unknown key")
	r.prepared()
	if got := told(refused); got.Error != "unknown key" || !r.Refused() || r.Preparing() {
		t.Errorf("who was refused hears %+v", got)
	}
	r.Begin(running)
	r.Start(2)
	if r.Refused() {
		t.Error("what was refused before counts")
	}
	r.Begin(abandoned)
	r.Abandon()
	expect(t, "who waits for what never begins", told(abandoned), control.RolledBack)
	r.End(2, Stopped())
	expect(t, "who waits for what the stop ended", told(running), control.RolledBack)
}

// TestSuccessor: how the last one ended is known after an upgrade.
func TestSuccessor(t *testing.T) {
	before, after := New(), New()
	before.Begin()
	before.Start(3)
	before.End(3, control.Reload{Result: control.RolledBack, Error: "worker 4"})
	text, _, err := state.Write(before, time.Unix(0, 0))
	if err == nil {
		_, err = state.Read(text, after, time.Unix(0, 0))
	}
	if err != nil || after.Last() != before.Last() || after.Refused() || after.Begun() != 0 {
		t.Errorf("%s is read as %+v, %v", text, after, err)
	}
}

// TestTurn: one at a time, but one that never comes back keeps nobody for ever.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, begin := New(), time.Now()
		done := r.Turn()
		time.AfterFunc(time.Second, done)
		r.Turn() // which is never over
		if d := time.Since(begin); d != time.Second {
			t.Errorf("the second had its turn after %v", d)
		}
		for range 2 {
			r.Turn()()
		}
		if d := time.Since(begin); d != time.Second+2*TurnTime {
			t.Errorf("the others had their turn after %v", d)
		}
	})
}
