package config

import (
	"slices"
	"strings"
)

// bindSlotKey is bind_slot.
var bindSlotKey = key(Key{
	Name: "bind_slot", Repeat: true,
	Usage: `addresses with {slot}, as "unix:/run/agent/{slot}.sock": listeners of its own for each slot beside those of bind, for a proxy that sends a session to the worker that has it; ` +
		"a replacement serves on from the same queue, alone as soon as it is ready, and nobody listens there while the slot is scaled away",
},
	func(c *Config) *[]string { return &c.BindSlot }, addresses(checkSlotAddress, checkSlotAddresses))

// SlotAddresses returns the addresses of BindSlot for a slot.
func (c *Config) SlotAddresses(slot int) (addresses []string) {
	for _, text := range c.BindSlot {
		addresses = append(addresses, Worker{Slot: slot}.Expand(text))
	}
	return addresses
}

// checkSlotAddress checks the syntax of one address of bind_slot.
func checkSlotAddress(address string) error {
	first, second := Worker{}.Expand(address), Worker{Slot: 1}.Expand(address)
	switch {
	case strings.HasPrefix(address, "fd://"):
		return wrong("", `must be "unix:/path" or "host:port", not %s`, quote(address))
	case first == second:
		return wrong(`as in "unix:/run/agent/{slot}.sock"`, "must have {slot} in it, or all slots would have the same address: %s", quote(address))
	}
	// The first one may be no address where the second is, as with port 900{slot}.
	return checkAddress(second)
}

// checkSlotAddresses checks the addresses of bind_slot, all of which are well formed,
// together.
func checkSlotAddresses(addresses []string) error {
	for i, a := range addresses {
		if slices.Contains(addresses[:i], a) {
			return wrong("", "has %s twice", quote(a))
		}
	}
	return nil
}

// compareSlots makes the paths of bind_slot absolute, and checks what the key and others
// say of each other.
func (l *loader) compareSlots() {
	c := l.config
	if len(c.BindSlot) == 0 || !l.sound("bind_slot") {
		return
	}
	if l.sound("workers") && c.Workers.Fixed() && c.Workers.N == 0 {
		l.fail(l.stronger("workers", "bind_slot"), wrong("set workers = 1", "workers must be at least 1 with bind_slot: nobody listens at the addresses of slots that nobody serves"))
		return
	}
	most := max(c.Workers.N, c.WorkersMax, 1)
	for i, text := range c.BindSlot {
		path, unix := strings.CutPrefix(text, "unix:")
		if unix {
			c.BindSlot[i] = "unix:" + c.absolute(path)
		}
	}
	taken := map[string]string{}
	for _, a := range append(slices.Clone(c.Bind), c.Admin.Bind) {
		taken[canonical(a)] = a
	}
	for slot := range most {
		for _, a := range c.SlotAddresses(slot) {
			if path, unix := strings.CutPrefix(a, "unix:"); unix && len(path) > maxUnixPath {
				l.fail("bind_slot", wrong("", "the path of a unix socket has at most %d bytes, which %s has not", maxUnixPath, quote(path)))
				return
			}
			if err := checkAddress(a); err != nil {
				l.fail("bind_slot", err)
				return
			}
			if strings.HasSuffix(a, ":0") {
				l.fail("bind_slot", wrong("begin with another number", "gives slot %d no port of its own: %s", slot, quote(a)))
				return
			}
			if other, twice := taken[canonical(a)]; twice {
				l.fail("bind_slot", wrong("give it an address of its own", "gives slot %d the address %s, which is taken by %s", slot, quote(a), quote(other)))
				return
			}
			taken[canonical(a)] = a
		}
	}
}
