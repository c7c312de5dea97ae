package config

import (
	"fmt"
	"maps"
	"slices"
)

// sparesKey is the key of the spares.
var sparesKey = key(Key{
	Name: "spares",
	Usage: "workers kept ready that accept nothing until one crashes, is stuck, is recycled or is wanted in addition: then one takes that place at once, and the next is started; " +
		"with preload it is a fork that waits; not with {slot} in env or with bind_slot, as a spare has no slot yet, and not for plain workers, which cannot wait",
},
	func(c *Config) *int { return &c.Spares }, count(0, MaxWorkers))

// compareSpares checks what spares and other keys say of each other.
func (l *loader) compareSpares() {
	c := l.config
	if c.Spares == 0 || !l.sound("spares") {
		return
	}
	one, other := Worker{Slot: 0}, Worker{Slot: 1}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if value := c.Env[name]; l.sound("env") && one.Expand(value) != other.Expand(value) {
			l.fail(l.stronger("spares", "env"), wrong("write {place} or {id}, which a spare has", "env.%s has {slot}, and a spare has no slot when it is started", displayPath([]string{name})))
		}
	}
	if len(c.BindSlot) > 0 && l.sound("bind_slot") {
		l.fail(l.stronger("spares", "bind_slot"), wrong("leave one of them out", "spares and bind_slot exclude each other: a spare has no slot when it is given its sockets"))
	}
	leases, scarce := c.Resources.least()
	if n := c.Workers.N; scarce != "" && c.Workers.Fixed() && n <= leases && n+c.Spares > leases && l.sound("workers", "resources") {
		l.fail(l.stronger("spares", "resources"), wrong("list more, or set spares = "+fmt.Sprint(leases-n),
			"workers (%d) and spares (%d) must not be above the number of leases, which is %d for resources.%s: every worker holds one for life", n, c.Spares, leases, displayPath([]string{scarce})))
	}
}
