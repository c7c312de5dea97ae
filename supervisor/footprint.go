package supervisor

import (
	"sync"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// How memory is measured for people: a figure is good for so long, a new one is
// waited for so long, and one that is late is better than another kind of
// figure for so long. Those who ask regularly wait less.
const (
	memoryFresh = time.Second
	memoryWait  = 100 * time.Millisecond
	memoryStale = 10 * time.Second
	recallWait  = 5 * time.Millisecond
)

// footprints are the memory of the workers as far as somebody has asked. What
// the kernel counts for PSS takes time, and none of it can be had while the
// process hangs in a page fault, so each worker is measured by a goroutine of
// its own, which nobody waits for too long.
type footprints struct {
	mu sync.Mutex // guards by and what is in it
	by map[int]*footprint
}

// footprint is that of one worker.
type footprint struct {
	bytes uint64
	kind  process.MemoryKind
	at    time.Time
	busy  chan struct{} // closed when a measurement under way is over; nil: there is none
}

// fill tells the workers their memory. It must not be called by the loop.
func (f *footprints) fill(workers []control.Worker) {
	trees, now := f.refresh(workers, memoryWait)
	if trees == nil {
		return // not on this system
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, w := range workers {
		if one := f.by[w.ID]; one != nil && now.Sub(one.at) < memoryStale {
			workers[i].MemoryBytes, workers[i].MemoryKind = one.bytes, control.MemoryKind(one.kind)
		} else if bytes, err := trees[i].Private(); err == nil && w.PID > 0 {
			workers[i].MemoryBytes, workers[i].MemoryKind = bytes, control.RSS
		}
	}
}

// recall tells the workers the last figure of their memory, however old it is:
// for those who ask regularly, cannot wait, and draw a line that another kind of
// figure would break. It must not be called by the loop.
func (f *footprints) recall(workers []control.Worker) {
	f.refresh(workers, recallWait)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, w := range workers {
		if one := f.by[w.ID]; one != nil {
			workers[i].MemoryBytes, workers[i].MemoryKind = one.bytes, control.MemoryKind(one.kind)
		}
	}
}

// refresh has the figures measured that are not fresh any more, and waits for
// them for a while. It returns the processes of each worker and the time that it
// began; nil where they cannot be found.
func (f *footprints) refresh(workers []control.Worker, wait time.Duration) ([]process.Tree, time.Time) {
	now := time.Now()
	pids := make([]int, len(workers))
	for i, w := range workers {
		pids[i] = w.PID
	}
	trees, err := process.Trees(pids)
	if err != nil {
		return nil, now
	}
	var waitFor []chan struct{}
	f.mu.Lock()
	f.forget(workers)
	for i, w := range workers {
		one := f.by[w.ID]
		if one == nil {
			one = &footprint{}
			f.by[w.ID] = one
		}
		if one.busy == nil && now.Sub(one.at) >= memoryFresh && w.PID > 0 {
			one.busy = make(chan struct{})
			go f.measure(one, trees[i])
		}
		if one.busy != nil {
			waitFor = append(waitFor, one.busy)
		}
	}
	f.mu.Unlock()

	enough := time.NewTimer(wait)
	defer enough.Stop()
	for _, busy := range waitFor {
		select {
		case <-busy:
		case <-enough.C:
			return trees, now
		}
	}
	return trees, now
}

// measure takes one measurement.
func (f *footprints) measure(one *footprint, tree process.Tree) {
	bytes, kind, err := tree.Memory()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		one.bytes, one.kind, one.at = bytes, kind, time.Now()
	}
	close(one.busy)
	one.busy = nil
}

// forget drops all who are not among the workers. A measurement that hangs goes
// on with what it has.
func (f *footprints) forget(workers []control.Worker) {
	living := map[int]bool{}
	for _, w := range workers {
		living[w.ID] = true
	}
	for id := range f.by {
		if !living[id] {
			delete(f.by, id)
		}
	}
}
