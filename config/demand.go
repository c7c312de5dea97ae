package config

// Room returns for how many workers of WorkerMemory, with those of surge and spares, the
// memory limit of a machine has room; 0: that is not known.
func (c *Config) Room(m Machine) (workers int) {
	if c.WorkerMemory == 0 || !m.MemoryBounded() {
		return 0
	}
	for n := min(int(m.memory/c.WorkerMemory), MaxWorkers); n > 1; n-- {
		if Size(n+c.Surge.Of(n)+c.Spares) <= m.memory/c.WorkerMemory {
			return n
		}
	}
	return 1
}

// compareDemand checks what the keys say together by which workers follow the demand.
func (l *loader) compareDemand() {
	c := l.config
	if !l.sound("workers", "workers_max", "target_in_flight") {
		return
	}
	least := c.Workers.N
	switch {
	case c.Workers.Fixed() && least == 0 && c.WorkersMax == 0:
		l.fail("workers", wrong("as in workers_max = 4, so that one starts when a connection waits", "must be at least 1, not 0, unless workers_max is set"))
	case c.WorkersMax > 0 && c.TargetInFlight == 0:
		l.fail("workers_max", wrong("how many requests in flight one worker is to have, as in target_in_flight = 8", "needs target_in_flight"))
	case c.WorkersMax == 0 && c.TargetInFlight > 0:
		l.fail("target_in_flight", wrong("as in workers_max = 4", "has no effect without workers_max"))
	case c.WorkersMax > 0 && c.Workers.Fixed() && least > c.WorkersMax:
		l.fail(l.stronger("workers", "workers_max"), wrong("", "workers_max (%d) must not be below workers (%d)", c.WorkersMax, least))
	}
}
