package fleet

import "time"

// hang is a request, or a worker, that does not end for some time.
type hang struct {
	Sight
	until time.Time
}

// guard is an entry of the timeline: a look at all workers, which tells what there
// is to be seen by then.
type guard struct{ Tick }

// delay keeps the loop from its work in one of so many steps, in some worlds.
func (w *world) delay(n int) {
	if w.tardy && !w.calm && w.r.IntN(n) == 0 {
		w.now = w.now.Add(w.ms(3000))
	}
}

// look is what is to be seen of the workers now, of which some may hang.
func (w *world) look(due time.Time) Looked {
	seen := Looked{Due: due}
	for x := range w.fleet.Workers() {
		h, ok := w.hung[x.ID]
		if ok && w.now.After(h.until) {
			delete(w.hung, x.ID)
			h = hang{}
		}
		if h.Innocents > 0 && w.r.IntN(8) == 0 {
			h.Innocents--
			w.hung[x.ID] = h
		}
		h.ID = x.ID
		seen.Sights = append(seen.Sights, h.Sight)
	}
	if w.guarded = len(w.hung) > 0; w.guarded {
		w.after(100*time.Millisecond+w.ms(300), guard{})
	}
	return seen
}

// hang has a worker hang from now on, which a look will see.
func (w *world) hang(id, innocents int) {
	reason := []Reason{ReasonTimeout, ReasonWatchdog}[w.r.IntN(2)]
	lasts := w.ms(3000)
	if w.r.IntN(2) == 0 {
		lasts = time.Hour
	}
	w.hung[id] = hang{Sight{id, reason, innocents}, w.now.Add(lasts)}
	if !w.guarded {
		w.guarded = true
		w.after(w.ms(200), guard{})
	}
}
