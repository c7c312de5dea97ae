package fleet

// larder is how much memory there is in a world.
type larder struct {
	memory int // for so many processes; 0: no end of it
}

// bound has some be ready beside those who serve, and memory matter, in some revisions, also
// for long.
func (w *world) bound(s *Settings) {
	s.Spares = max(w.r.IntN(6)-2, 0)
	s.MemoryBound = w.r.IntN(2) == 0
	if s.MemoryBound && w.r.IntN(4) == 0 {
		s.DrainTimeout = w.ms(40_000)
	}
}

// stock has as much memory be there from now on.
func (w *world) stock() {
	if w.memory = w.r.IntN(12); w.memory > 8 || w.r.IntN(2) == 0 {
		w.memory = 0
	}
}

// weigh says for how many more processes there is memory, as it was when that was asked, or
// that is lost.
func (w *world) weigh() {
	room := 1 << 20
	if w.memory > 0 {
		room = max(w.memory-len(w.fleet.workers), 0)
	}
	if w.calm || w.r.IntN(20) > 0 {
		w.after(w.ms(300), Memory{room})
	}
}
