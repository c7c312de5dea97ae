//go:build linux

package scales

import (
	"maps"
	"sync"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// How memory is measured for people: a figure is good for so long, a new one is
// waited for so long, and one that is late is better than another kind of
// figure for so long. Where there is such a one, the new one is waited for less.
const (
	memoryFresh = time.Second
	memoryWait  = 100 * time.Millisecond
	memoryStale = 10 * time.Second
	recallWait  = 5 * time.Millisecond
	// A picture over time has figures that are no older.
	memoryRecent = time.Minute
)

// memoryShare bounds what measuring costs: a worker is measured for at most one
// part in so many of the time.
const memoryShare = 10

// A Tree is the processes of a worker, a [process.Tree].
type Tree interface {
	Resident() uint64
	Private() (uint64, error)
	Memory() (uint64, process.MemoryKind, error)
	CPU() (time.Duration, error)
}

// Trees is [process.Trees].
func Trees(pids []int) ([]Tree, error) {
	found, err := process.Trees(pids)
	all := make([]Tree, len(found))
	for i, t := range found {
		all[i] = t
	}
	return all, err
}

// A Worker is one that can be weighed.
type Worker struct {
	ID  int // of no other worker, ever
	PID int // 0: it has no process
}

// A Weight is what a worker takes.
type Weight struct {
	Bytes uint64 // of memory, as far as it is known
	Kind  process.MemoryKind
	CPU   time.Duration // on a processor so far; below 0: not known
}

// Scales remember what workers weighed last, and what became of them for it. [New] are
// of use after [Scales.Attach]. Weigh, Recall, Takes and Unshared are for any
// goroutine, and all else
// is for the one that owns the workers.
type Scales struct {
	trees func(pids []int) ([]Tree, error) `state:"-"`

	watching bool          `state:"-"` // a goroutine looks at the workers with a limit
	more     chan struct{} `state:"-"` // there are more of them
	recycled recycled      `state:"slimmed"`
	kills    kills         `state:",inline"`

	mu sync.Mutex      `state:"-"` // guards by and what is in it
	by map[int]*figure `state:"-"`
}

// New are scales on which nobody was.
func New() *Scales {
	return &Scales{more: make(chan struct{}, 1), recycled: recycled{}, by: map[int]*figure{}}
}

// Attach says how the processes of workers are found, as [Trees] does, and how many
// processes of our cgroup the kernel has killed because memory ran out.
func (s *Scales) Attach(trees func(pids []int) ([]Tree, error), kills func() (n uint64, ok bool)) {
	s.trees, s.kills.count = trees, kills
}

// figure is the memory of one worker.
type figure struct {
	bytes uint64
	kind  process.MemoryKind
	at    time.Time     // when the measurement began
	took  time.Duration // what it took
	pages uint64        // resident set then, of which it is a part
	busy  chan struct{} // closed when one under way is over; nil: there is none
}

// Weigh returns the weight of each of the workers, for people: with figures of memory
// that are at most 10 seconds old, for which it may take a tenth of a second if there
// are none yet. Those that are not among them are forgotten.
func (s *Scales) Weigh(workers []Worker) []Weight {
	wait := recallWait
	if !s.knows(workers) {
		wait = memoryWait
	}
	trees, now := s.refresh(workers, wait)
	weights := weightless(workers, trees)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range trees {
		if one := s.by[workers[i].ID]; one != nil && now.Sub(one.at) < memoryStale {
			weights[i].Bytes, weights[i].Kind = one.bytes, one.kind
		} else if bytes, err := t.Private(); err == nil && workers[i].PID > 0 {
			weights[i].Bytes, weights[i].Kind = bytes, process.RSS
		}
	}
	return weights
}

// knows says whether there is a figure of memory for each of the workers, although it
// may be a late one.
func (s *Scales) knows(workers []Worker) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, w := range workers {
		if one := s.by[w.ID]; w.PID > 0 && (one == nil || now.Sub(one.at) >= memoryStale) {
			return false
		}
	}
	return true
}

// Recall is Weigh with the last figure of memory, however old it is: for those who
// ask regularly, cannot wait, and draw a line that another kind of figure would
// break.
func (s *Scales) Recall(workers []Worker) []Weight {
	trees, _ := s.refresh(workers, recallWait)
	weights := weightless(workers, trees)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range workers {
		if one := s.by[w.ID]; one != nil && !one.at.IsZero() {
			weights[i].Bytes, weights[i].Kind = one.bytes, one.kind
		}
	}
	return weights
}

// weightless is what is known without measuring memory. No process can keep its time
// on a processor from being read, so nothing is waited for.
func weightless(workers []Worker, trees []Tree) []Weight {
	weights := make([]Weight, len(workers))
	for i := range weights {
		weights[i].CPU = -1
	}
	for i, t := range trees {
		if had, err := t.CPU(); err == nil && workers[i].PID > 0 {
			weights[i].CPU = had
		}
	}
	return weights
}

// refresh has the figures measured that are not fresh any more, and waits for
// them for a while. It returns the processes of each worker and the time that it
// began; nil where they cannot be found.
func (s *Scales) refresh(workers []Worker, wait time.Duration) ([]Tree, time.Time) {
	now := time.Now()
	pids, living := make([]int, len(workers)), map[int]bool{}
	for i, w := range workers {
		pids[i], living[w.ID] = w.PID, true
	}
	trees, err := s.trees(pids)
	if err != nil {
		return nil, now
	}
	s.keep(living)
	these := map[int]Tree{}
	for i, w := range workers {
		if w.PID > 0 {
			these[w.ID] = trees[i]
		}
	}
	s.renew(these, memoryFresh, wait)
	return trees, now
}

// renew has workers measured, by id, whose figures are not fresh any more, and
// waits for them for a while.
func (s *Scales) renew(trees map[int]Tree, fresh, wait time.Duration) {
	now := time.Now()
	var waitFor []chan struct{}
	s.mu.Lock()
	for id, t := range trees {
		one := s.by[id]
		if one == nil {
			one = &figure{}
			s.by[id] = one
		}
		if one.busy == nil && now.Sub(one.at) >= max(fresh, memoryShare*one.took) {
			one.busy = make(chan struct{})
			go s.measure(one, t)
		}
		if one.busy != nil {
			waitFor = append(waitFor, one.busy)
		}
	}
	s.mu.Unlock()

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
func (s *Scales) measure(one *figure, t Tree) {
	begin, pages := time.Now(), t.Resident()
	bytes, kind, err := t.Memory()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		one.bytes, one.kind, one.at, one.took, one.pages = bytes, kind, begin, time.Since(begin), pages
	}
	close(one.busy)
	one.busy = nil
}

// Last is the memory of a worker as it was measured last, however long ago, also of one
// that is gone, but for one that was gone at a measurement of others; 0: it never was.
func (s *Scales) Last(id int) (bytes uint64, kind process.MemoryKind) {
	one := s.of(id)
	return one.bytes, one.kind
}

// Recent is the memory of those of the ids that were measured in the last minute, all
// together; 0: not all that ever were have been.
func (s *Scales) Recent(ids []int) (bytes uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, id := range ids {
		one := s.by[id]
		if one == nil || one.at.IsZero() {
			continue // it has just begun
		}
		if now.Sub(one.at) > memoryRecent {
			return 0
		}
		bytes += one.bytes
	}
	return bytes
}

// of returns the last figure of a worker; that at the zero time is none.
func (s *Scales) of(id int) figure {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.by[id]; one != nil {
		return *one
	}
	return figure{}
}

// keep drops all workers but these. A measurement that hangs goes on with what it
// has.
func (s *Scales) keep(living map[int]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.by, func(id int, _ *figure) bool { return !living[id] })
}

// Fill adds to a status what workers and loaders take, as [Scales.Weigh] or
// [Scales.Recall] has it.
func Fill(st *control.Status, weigh func([]Worker) []Weight) {
	var all []Worker
	for _, w := range st.Workers {
		all = append(all, onScales(w.ID, w.PID))
	}
	for _, l := range st.Loaders {
		all = append(all, onScales(LoaderID(l.PID), l.PID))
	}
	weights := weigh(all)
	if total := sum(weights); total > 0 {
		st.MemoryBytes = &total
	}
	for i := range st.Workers {
		w := &st.Workers[i]
		w.MemoryBytes, w.MemoryKind, w.CPUSeconds = told(weights[i])
	}
	for i := range st.Loaders {
		l := &st.Loaders[i]
		l.MemoryBytes, l.MemoryKind, l.CPUSeconds = told(weights[len(st.Workers)+i])
	}
}

// sum is the memory of all.
func sum(weights []Weight) (bytes uint64) {
	for _, w := range weights {
		bytes += w.Bytes
	}
	return bytes
}

// onScales is a process that can be weighed, if there is one.
func onScales(id int, pid *int) Worker {
	if pid == nil {
		return Worker{ID: id}
	}
	return Worker{ID: id, PID: *pid}
}

// LoaderID is an id for a loader that no worker has.
func LoaderID(pid *int) int {
	if pid == nil {
		return 0
	}
	return -*pid
}

// told is a weight for people.
func told(w Weight) (bytes uint64, kind control.MemoryKind, cpu *float64) {
	if w.CPU >= 0 {
		cpu = new(control.Seconds(w.CPU))
	}
	return w.Bytes, control.MemoryKind(w.Kind), cpu
}
