package fleet

import "fmt"

// leases are those of a revision, if it has any: some of few values, so that those of
// one revision are others' as well, in other pairs.
func (w *world) leases(workers int) (all []Lease) {
	if w.r.IntN(2) == 0 {
		return nil
	}
	first, second, two := w.r.IntN(3), w.r.IntN(3), w.r.IntN(3) == 0
	if w.r.IntN(2) == 0 {
		first, second = 0, 0
	}
	for i := range workers + max(w.r.IntN(4)-1, 0) {
		l := Lease{"gpu": fmt.Sprint(first + i)}
		if two {
			l["port"] = fmt.Sprint(8000 + second + i)
		}
		all = append(all, l)
	}
	return all
}

// clear says of a worker that is gone when nobody of its process group is left.
func (w *world) clear(id int) {
	switch n := w.r.IntN(20); {
	case w.calm || n > 10:
		w.after(0, Cleared{id})
	case n > 0:
		w.after(w.ms(200), Cleared{id})
	default:
		w.after(w.ms(9000), Cleared{id})
	}
}
