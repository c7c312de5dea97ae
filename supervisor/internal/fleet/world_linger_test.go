package fleet

// rivers are the requests of workers that last.
type rivers struct {
	streams map[int]int // by id, of those who linger
}

// flow has the streams of workers that linger begin and end.
func (w *world) flow() {
	for x := range w.fleet.Workers() {
		switch {
		case !x.Lingers() || w.calm:
			delete(w.streams, x.ID)
		case w.r.IntN(3) == 0:
			w.streams[x.ID] = max(w.r.IntN(8)-1, 0)
		case w.streams[x.ID] == 0:
			w.streams[x.ID] = 1 + w.r.IntN(4)
		}
	}
}
