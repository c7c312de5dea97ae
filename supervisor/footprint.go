//go:build linux

package supervisor

import (
	"maps"
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

// memoryShare bounds what measuring costs: a worker is measured for at most one
// part in so many of the time.
const memoryShare = 10

// footprints are the memory of the workers as far as somebody has asked. What
// the kernel counts for PSS takes time, and none of it can be had while the
// process hangs in a page fault, so each worker is measured by a goroutine of
// its own, which nobody waits for too long. Limits are judged by them, too.
type footprints struct {
	mu sync.Mutex // guards by and what is in it
	by map[int]*footprint
}

// footprint is that of one worker.
type footprint struct {
	bytes uint64
	kind  process.MemoryKind
	at    time.Time     // when the measurement began
	took  time.Duration // what it took
	busy  chan struct{} // closed when one under way is over; nil: there is none
}

// fill tells the workers their memory and their time on a processor. It must not be called by the loop.
func (f *footprints) fill(workers []control.Worker) {
	trees, now := f.refresh(workers, memoryWait)
	if trees == nil {
		return // not on this system
	}
	tellCPU(workers, trees)
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

// recall tells the workers the same with the last figure of their memory, however old it is:
// for those who ask regularly, cannot wait, and draw a line that another kind of
// figure would break. It must not be called by the loop.
func (f *footprints) recall(workers []control.Worker) {
	trees, _ := f.refresh(workers, recallWait)
	tellCPU(workers, trees)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, w := range workers {
		if one := f.by[w.ID]; one != nil && !one.at.IsZero() {
			workers[i].MemoryBytes, workers[i].MemoryKind = one.bytes, control.MemoryKind(one.kind)
		}
	}
}

// tellCPU tells the workers their time on a processor. No process can keep it from
// being read, so nothing is waited for.
func tellCPU(workers []control.Worker, trees []process.Tree) {
	for i, t := range trees {
		if had, err := t.CPU(); err == nil && workers[i].PID > 0 {
			workers[i].CPUSeconds = new(seconds(had))
		}
	}
}

// refresh has the figures measured that are not fresh any more, and waits for
// them for a while. It returns the processes of each worker and the time that it
// began; nil where they cannot be found.
func (f *footprints) refresh(workers []control.Worker, wait time.Duration) ([]process.Tree, time.Time) {
	now := time.Now()
	pids, living := make([]int, len(workers)), map[int]bool{}
	for i, w := range workers {
		pids[i], living[w.ID] = w.PID, true
	}
	trees, err := process.Trees(pids)
	if err != nil {
		return nil, now
	}
	f.keep(living)
	these := map[int]tree{}
	for i, w := range workers {
		if w.PID > 0 {
			these[w.ID] = trees[i]
		}
	}
	f.renew(these, memoryFresh, wait)
	return trees, now
}

// renew has workers measured, by id, whose figures are not fresh any more, and
// waits for them for a while.
func (f *footprints) renew(trees map[int]tree, fresh, wait time.Duration) {
	now := time.Now()
	var waitFor []chan struct{}
	f.mu.Lock()
	for id, t := range trees {
		one := f.by[id]
		if one == nil {
			one = &footprint{}
			f.by[id] = one
		}
		if one.busy == nil && now.Sub(one.at) >= max(fresh, memoryShare*one.took) {
			one.busy = make(chan struct{})
			go f.measure(one, t)
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
			return
		}
	}
}

// measure takes one measurement.
func (f *footprints) measure(one *footprint, t tree) {
	begin := time.Now()
	bytes, kind, err := t.Memory()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		one.bytes, one.kind, one.at, one.took = bytes, kind, begin, time.Since(begin)
	}
	close(one.busy)
	one.busy = nil
}

// of returns the last figure of a worker; that at the zero time is none.
func (f *footprints) of(id int) footprint {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.by[id]; one != nil {
		return *one
	}
	return footprint{}
}

// keep drops all workers but these. A measurement that hangs goes on with what it
// has.
func (f *footprints) keep(living map[int]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.by, func(id int, _ *footprint) bool { return !living[id] })
}
