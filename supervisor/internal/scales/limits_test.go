//go:build linux

package scales

import (
	"testing"
	"time"
)

// What takes long to measure is measured rarely, and judged all the same.
func TestMemoryOfTheLarge(t *testing.T) {
	f := New(nil)
	its, begin := &suspicion{}, time.Now()
	for i, c := range []struct {
		after time.Duration
		bytes uint64
		want  time.Duration
	}{{0, 90, -1}, {time.Second, 110, 0}, {5 * time.Second, 110, 4 * time.Second}, {5 * time.Second, 110, 4 * time.Second}, {9 * time.Second, 100, -1}, {13 * time.Second, 101, 0}} {
		f.by[1] = &figure{at: begin.Add(c.after), bytes: c.bytes}
		if got := its.over(f.of(1), 100); got != c.want {
			t.Errorf("figure %d: over the limit for %v, want %v", i, got, c.want)
		}
	}
}

// A slot loses a worker to its soft limit once in a while at most.
func TestSlimmed(t *testing.T) {
	s, now := Slimmed{}, time.Now()
	if !s.May(1, now) || s.May(1, now.Add(slimFor-1)) || !s.May(2, now.Add(slimFor-1)) || !s.May(1, now.Add(slimFor)) {
		t.Errorf("slots that lost one: %v", s)
	}
}

// A count that cannot be read says nothing, and what rose meanwhile is told later.
func TestOOM(t *testing.T) {
	kills, readable := uint64(3), true
	o := NewOOM(func() (uint64, bool) { return kills, readable })
	for i, c := range []struct {
		kills    uint64
		readable bool
		rose     bool
	}{{3, true, false}, {4, true, true}, {4, true, false}, {0, false, false}, {5, true, true}} {
		kills, readable = c.kills, c.readable
		if got := o.Rose(); got != c.rose {
			t.Errorf("step %d: rose %v", i, got)
		}
	}
}
