//go:build linux

package socket

import (
	"maps"
	"slices"
)

// Addresses are where a fleet listens: all workers on the shared ones, and those of each slot on their own besides.
type Addresses struct {
	Shared []Address
	Slots  map[int][]Address // by worker slot
}

// wanted is an address, and whose it is as in [entry].
type wanted struct {
	Address
	slot int
}

// all are the shared ones, and then those of one slot after the other.
func (a Addresses) all() (all []wanted) {
	for _, one := range a.Shared {
		all = append(all, wanted{Address: one})
	}
	for _, slot := range slices.Sorted(maps.Keys(a.Slots)) {
		for _, one := range a.Slots[slot] {
			all = append(all, wanted{one, slot + 1})
		}
	}
	return all
}

// Shared are the sockets that all slots have.
func (s *Set) Shared() *Set { return s.only(func(e entry) bool { return e.slot == 0 }) }

// Of are the sockets that a worker of the slot is given, in the order of its descriptors: the shared ones, and then
// those of the slot alone.
func (s *Set) Of(slot int) *Set {
	return s.only(func(e entry) bool { return e.slot == 0 || e.slot == slot+1 })
}

// OfThose are the shared sockets, and those of the slots for which has is true.
func (s *Set) OfThose(has func(slot int) bool) *Set {
	return s.only(func(e entry) bool { return e.slot == 0 || has(e.slot-1) })
}

// Private are the open sockets that one slot alone has, for which has is true.
func (s *Set) Private(has func(slot int) bool) *Set {
	return s.only(func(e entry) bool { return e.slot > 0 && e.fd >= 0 && has(e.slot-1) })
}

// Quiesced are those of the sockets that take no new connections.
func (s *Set) Quiesced() *Set { return s.only(func(e entry) bool { return e.quiesced }) }

// With is the set with other sockets in place of those that the slot alone has.
func (s *Set) With(slot int, own *Set) *Set {
	all := s.only(func(e entry) bool { return e.slot != slot+1 })
	all.entries = append(all.entries, own.all()...)
	return all
}

func (s *Set) only(is func(entry) bool) *Set {
	some := &Set{}
	for _, e := range s.all() {
		if is(e) {
			some.entries = append(some.entries, e)
		}
	}
	if s != nil {
		some.options = s.options
	}
	return some
}

// alike are the open sockets that stand where descriptor i of a worker does: a shared one, or those of all slots.
func (s *Set) alike(i int) (fds []int) {
	shared := s.Shared().Len()
	if i < shared {
		return s.Fds(0)[i : i+1]
	}
	seen := map[int]int{}
	for _, e := range s.all() {
		if e.slot == 0 {
			continue
		}
		if seen[e.slot] == i-shared && e.fd >= 0 {
			fds = append(fds, e.fd)
		}
		seen[e.slot]++
	}
	return fds
}

// Addresses are those of the sockets, as they were wanted.
func (s *Set) Addresses() (all []Address) {
	for _, e := range s.all() {
		all = append(all, e.address)
	}
	return all
}
