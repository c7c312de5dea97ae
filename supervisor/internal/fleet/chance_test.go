package fleet

import "time"

// pick draws a kind with the given weights.
func (w *world) pick(weights ...int) kind {
	sum := 0
	for _, n := range weights {
		sum += n
	}
	x := w.r.IntN(sum)
	for k, n := range weights {
		if x -= n; x < 0 {
			return kind(k)
		}
	}
	panic("unreachable")
}

func (w *world) ms(below int) time.Duration {
	return time.Duration(w.r.IntN(below)) * time.Millisecond
}
