//go:build linux

package socket

import (
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// A worker has the shared sockets and those of its own slot, by the names that say so,
// and the next set takes over all of them.
func TestSocketsOfSlots(t *testing.T) {
	dir := t.TempDir()
	of := func(slots ...string) Addresses {
		a := Addresses{Shared: mustParse(t, "127.0.0.1:0"), Slots: map[int][]Address{}}
		for i, name := range slots {
			a.Slots[i] = mustParse(t, "unix:"+dir+"/"+name, "127.0.0.1:0")
		}
		return a
	}
	before, err := OpenAll(of("a", "b"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if err := before.Listen(); err != nil {
		t.Fatal(err)
	}
	for slot, name := range []string{"a", "b"} {
		own := before.Of(slot)
		if names := before.Names(slot); !slices.Equal(names, []string{"bind0", "bind_slot0", "bind_slot1"}) {
			t.Errorf("slot %d has %v", slot, names)
		}
		if fds := before.Fds(slot); len(fds) != 3 || fds[0] != before.Fds(0)[0] || own.URLs()[1] != "unix://"+dir+"/"+name {
			t.Errorf("slot %d has %v: %v", slot, fds, own.URLs())
		}
		if bits := own.Bits(before.Private(func(one int) bool { return one == 1 })); bits != 0b110*uint64(slot) {
			t.Errorf("slot %d has %b of slot 1", slot, bits)
		}
	}
	if len(before.Fds(2)) != 1 || before.Shared().Len() != 1 || len(before.Listening()) != 5 {
		t.Errorf("slot 2 has %v, all have %v, %v listen", before.Fds(2), before.Shared().URLs(), before.Listening())
	}

	// The second slot is served elsewhere, and there is a third.
	after, err := OpenAll(of("a", "B", "c"), Options{}, before)
	if err != nil {
		t.Fatal(err)
	}
	gone := before.Without(after)
	if urls := gone.URLs(); len(urls) != 1 || !strings.HasSuffix(urls[0], "/b") {
		t.Errorf("%v are gone", urls)
	}
	if !slices.Equal(after.Fds(0), before.Fds(0)) {
		t.Errorf("slot 0 had %v and has %v", before.Fds(0), after.Fds(0))
	}
	defer after.Close()

	restored := successors(t, after)[0]
	if !reflect.DeepEqual(restored, after) {
		t.Errorf("the set was %+v, and the next image has %+v", after, restored)
	}
	for _, e := range restored.entries {
		e.fd = -1 // it is that of the other
	}

	own, err := OpenAll(Addresses{Slots: map[int][]Address{1: mustParse(t, "unix:"+dir+"/other")}}, Options{}, after)
	if err != nil {
		t.Fatal(err)
	}
	changed := after.With(1, own)
	if urls := changed.Of(1).URLs(); len(urls) != 2 || !strings.HasSuffix(urls[1], "/other") || len(changed.Fds(2)) != 3 {
		t.Errorf("slot 1 has %v", urls)
	}
	if err := own.Close(); err != nil || changed.Private(func(int) bool { return true }).Len() != 4 {
		t.Error("what is closed counts:", err)
	}
}

// One address cannot be that of two slots, nor that of all.
func TestSlotsHaveDifferentAddresses(t *testing.T) {
	path := mustParse(t, "unix:"+t.TempDir()+"/s")
	for _, a := range []Addresses{
		{Slots: map[int][]Address{0: path, 1: path}},
		{Shared: path, Slots: map[int][]Address{0: path}},
	} {
		if _, err := OpenAll(a, Options{}); err == nil || !strings.Contains(err.Error(), "listed twice") {
			t.Errorf("%v: %v", a, err)
		}
	}
}

// Whether somebody waits in vain is asked of the sockets of all slots.
func TestUnservedInSlots(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenAll(Addresses{Shared: mustParse(t, "127.0.0.1:0"), Slots: map[int][]Address{
		0: mustParse(t, "unix:"+dir+"/0", "unix:"+dir+"/x0"), 3: mustParse(t, "unix:"+dir+"/3", "unix:"+dir+"/x3"),
	}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]int{s.Fds(0)[:1], {s.Fds(0)[1], s.Fds(3)[1]}, {s.Fds(0)[2], s.Fds(3)[2]}} {
		if fds := s.alike(i); !slices.Equal(fds, want) {
			t.Errorf("%d: %v, want %v", i, fds, want)
		}
	}
	c, err := net.Dial("unix", dir+"/x3")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var u Unserved
	u.See([]bool{true, true, false}, false)
	now := time.Now()
	if next, _ := u.Look(now, s); !next.Equal(now.Add(UnservedFor)) {
		t.Errorf("to be looked at again at %v", next)
	}
}
