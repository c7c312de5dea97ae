package fleet

// reserves is how many spares there are to be in a world in which everything behaves: as far
// as there are leases for them, and workers that can hold.
func (w *world) reserves(undead int) int {
	r := w.fleet.current
	there := w.fleet.count((*Worker).holding) // who stays, however little room there is now
	if !r.holds {                             // of some who are there their word was lost
		return there
	}
	if r.MemoryBound && w.memory > 0 {
		return there // of others there may be none for want of memory
	}
	n := max(w.fleet.affordable(), there)
	if all := len(r.Leases); all > 0 {
		n = min(n, max(all-w.kept(undead, r)-r.target, 0))
	}
	return n
}

// bench makes a spare of the subject, in a fleet of one.
func (s *stage) bench() {
	r, w := s.current, s.worker(subject)
	r.floor, r.Spares, r.holds = 1, 1, true
	s.teams[w.Slot], w.Slot, w.holds, w.reserve = nil, NoSlot, true, true
	s.resize(1)
}
