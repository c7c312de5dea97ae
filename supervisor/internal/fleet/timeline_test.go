package fleet

import (
	"container/heap"
	"time"
)

type entry struct {
	at  time.Time
	ev  Event
	of  int // revision whose loader it is about; 0: it is about none
	nth int // which of its loaders
}

type timeline []entry

func (t timeline) Len() int           { return len(t) }
func (t timeline) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timeline) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timeline) Push(x any)        { *t = append(*t, x.(entry)) }
func (t *timeline) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

func (w *world) after(d time.Duration, ev Event) {
	w.push(entry{at: w.now.Add(d), ev: ev})
}

func (w *world) push(e entry) { heap.Push(&w.queue, e) }

// pop takes the next event from the queue, which is no more than the time if it is about
// a loader that is gone.
func (w *world) pop() entry {
	e := heap.Pop(&w.queue).(entry)
	if w.stale(e) {
		e.ev = Tick{}
	} else if _, ok := e.ev.(LoaderExited); ok {
		w.cradles[e.of].live = false
	}
	return e
}
