//go:build linux

package scales

import (
	"maps"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// How often the memory of workers with a limit is looked at. A worker over the
// hard limit is to be gone within a second; one over the other limit has to be
// found there again overFor later, as memory also comes and goes. A slot loses a
// worker to the lower limit once in slimFor at most: a limit below what workers
// take from their start would have the master do nothing but replace them.
const (
	lookHard = 500 * time.Millisecond
	lookSoft = time.Second
	overFor  = time.Second
	slimFor  = 10 * time.Second
)

// What a look makes of the figures of memory: one that it finds may be so old, so
// that each look has a new one, and it waits for those so long. What comes later
// counts in the next look.
const (
	lookFresh = lookHard / 2
	lookWait  = 50 * time.Millisecond
)

// A Load is a worker with limits on its memory.
type Load struct {
	Worker
	Soft, Hard uint64 // in bytes; 0: none
}

// exceeded says whether so many bytes are above one of the limits.
func (l *Load) exceeded(bytes uint64) bool {
	return l.Soft > 0 && bytes > l.Soft || l.Hard > 0 && bytes > l.Hard
}

// An Excess is a worker that is to go for its weight: at once if that is above its
// hard limit, else it has been above the soft one for long enough.
type Excess struct {
	Load
	Bytes uint64
	Kind  process.MemoryKind
}

// Deadly says that it is the hard limit which is exceeded.
func (e *Excess) Deadly() bool { return e.Hard > 0 && e.Bytes > e.Hard }

// A Watch looks at the memory of workers with limits, again and again. It belongs
// to one goroutine.
type Watch struct {
	scales *Scales
	known  map[int]*suspicion
}

// Watch begins to watch.
func (s *Scales) Watch() *Watch { return &Watch{scales: s, known: map[int]*suspicion{}} }

// Pause is how long to wait before the next look at such workers.
func (w *Watch) Pause(all []Load) time.Duration {
	for _, l := range all {
		if l.Hard > 0 {
			return lookHard
		}
	}
	return lookSoft
}

// Look returns those that are to go. The memory in the sense of the limits is read
// only where the resident set, which is more and costs far less, is above them. One
// that cannot be measured for now, as it hangs in a page fault, does not keep the
// others from it. The error is that no processes can be found, as when there are no
// descriptors left; later there may be.
func (w *Watch) Look(all []Load) (heavy []Excess, err error) {
	pids := make([]int, len(all))
	for i, l := range all {
		pids[i] = l.PID
	}
	found, err := w.scales.trees(pids)
	if err != nil {
		return nil, err
	}
	suspects := map[int]Tree{}
	for i, l := range all {
		if l.exceeded(found[i].Resident()) {
			suspects[l.ID] = found[i]
		}
	}
	begin := time.Now()
	w.scales.renew(suspects, lookFresh, lookWait)
	for _, l := range all {
		if suspects[l.ID] == nil {
			continue
		}
		its := w.known[l.ID]
		if its == nil {
			its = &suspicion{since: begin.Add(-lookFresh)}
			w.known[l.ID] = its
		}
		f := w.scales.of(l.ID)
		if f.at.Before(its.since) {
			continue // it is gone, or not measured yet
		}
		over := its.over(f, l.Soft)
		if e := (Excess{l, f.bytes, f.kind}); e.Deadly() || over >= overFor {
			heavy = append(heavy, e)
		}
	}
	maps.DeleteFunc(w.known, func(id int, _ *suspicion) bool { return suspects[id] == nil })
	return heavy, nil
}

// suspicion is of a worker whose resident set is above a limit.
type suspicion struct {
	since time.Time // figures before it say nothing
	above time.Time // of the first figure above the soft limit; zero: the last was not
}

// over is for how long the worker has been above the soft limit; below 0: it is
// not.
func (s *suspicion) over(f figure, soft uint64) time.Duration {
	if soft == 0 || f.bytes <= soft {
		s.above = time.Time{}
		return -1
	}
	if s.above.IsZero() {
		s.above = f.at
	}
	return f.at.Sub(s.above)
}

// Slimmed is when each slot last lost a worker to its soft limit. It belongs to one
// goroutine.
type Slimmed map[int]time.Time

// May says whether the slot may lose one now, and takes it for lost then.
func (s Slimmed) May(slot int, now time.Time) bool {
	if now.Sub(s[slot]) < slimFor {
		return false
	}
	s[slot] = now
	return true
}

// OOM tells whether the kernel killed workers because memory ran out. SIGKILL alone
// does not tell: operators send it as well. It belongs to one goroutine.
type OOM struct {
	// Kills is how many processes of our cgroup the kernel had killed when that was
	// last read.
	Kills uint64                         `state:"oom_kills"`
	count func() (kills uint64, ok bool) `state:"-"`
}

// NewOOM begins to count.
func NewOOM(count func() (kills uint64, ok bool)) *OOM {
	kills, _ := count()
	return &OOM{kills, count}
}

// Rose says whether the kernel has killed a process since that was last asked.
func (o *OOM) Rose() bool {
	kills, ok := o.count()
	rose := ok && kills > o.Kills
	if ok {
		o.Kills = kills
	}
	return rose
}
