//go:build linux

package scales

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// How often the memory of workers with a limit is looked at. A worker over the
// hard limit is to be gone within a second; one over the other limit has to be
// found there again overFor later, as memory also comes and goes. A slot loses a
// worker to the lower limit once in recyclePause at most: a limit below what workers
// take from their start would have the master do nothing but replace them. While the
// lower limit is the only one, and no resident set changes, nobody gets heavier: a
// look at lookStill then wakes an idle machine up as rarely as workers do.
const (
	lookHard     = 500 * time.Millisecond
	lookSoft     = time.Second
	lookStill    = 5 * time.Second
	overFor      = time.Second
	recyclePause = 10 * time.Second
)

// complainAgain is how often it is said that memory cannot be looked at.
const complainAgain = time.Minute

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

// Workers is who owns the workers that are watched. Its functions are called by the
// goroutine that owns them.
type Workers struct {
	// Loads are the workers that have a limit, and living the ids of all there are.
	Loads func() (all []Load, living map[int]bool)
	// Exceed has workers replaced, or killed, that are above a limit.
	Exceed func([]Excess)
	// Complain says, now and then, that no processes can be found, as when there are
	// no descriptors left. It is tried on.
	Complain func(error)
}

// Watch has the memory of the workers with a limit looked at, by a goroutine of its
// own, until there are none or the loop has ended. While that goes on already it has
// them looked at soon.
func (s *Scales) Watch(l *loop.Loop, w Workers) {
	if s.watching {
		select {
		case s.more <- struct{}{}:
		default: // it has not heard of the last one yet
		}
		return
	}
	s.watching = true
	go s.watch(l, w)
}

// watch is the goroutine.
func (s *Scales) watch(l *loop.Loop, w Workers) {
	known := watch{scales: s, known: map[int]*suspicion{}}
	var complained time.Time
	for {
		var all []Load
		var living map[int]bool
		err := l.Do(context.Background(), func() {
			all, living = w.Loads()
			s.watching = len(all) > 0
		})
		if err != nil || len(all) == 0 {
			return
		}
		s.keep(living)
		heavy, err := known.look(all)
		if err == nil && len(heavy) > 0 {
			err = l.Do(context.Background(), func() { w.Exceed(heavy) })
		}
		if errors.Is(err, loop.ErrEnded) {
			return
		}
		if err != nil && time.Since(complained) >= complainAgain {
			complained = time.Now()
			l.Report(func() { w.Complain(err) })
		}
		if !known.wait(all, l.Ended()) {
			return
		}
	}
}

// A watch is what is known of workers with limits from look to look.
type watch struct {
	scales   *Scales
	known    map[int]*suspicion
	resident map[int]uint64 // by id, at the last look
	still    bool           // then they were as at the one before, and nobody was above a limit
}

// wait waits until such workers are to be looked at again, and says whether the loop
// goes on. When there are more of them that is soon.
func (w *watch) wait(all []Load, ended <-chan struct{}) bool {
	at := time.Now().Add(w.pause(all))
	for {
		select {
		case <-ended:
			return false
		case <-time.After(time.Until(at)):
			return true
		case <-w.scales.more:
			if soon := time.Now().Add(lookSoft); soon.Before(at) {
				at = soon
			}
		}
	}
}

// pause is how long that is where there are no more.
func (w *watch) pause(all []Load) time.Duration {
	if slices.ContainsFunc(all, func(l Load) bool { return l.Hard > 0 }) {
		return lookHard
	}
	if w.still {
		return lookStill
	}
	return lookSoft
}

// look returns those that are to go. The memory in the sense of the limits is read
// only where the resident set, which is more and costs far less, is above them. One
// that cannot be measured for now, as it hangs in a page fault, does not keep the
// others from it. The error is that no processes can be found, as when there are no
// descriptors left; later there may be.
func (w *watch) look(all []Load) (heavy []Excess, err error) {
	pids := make([]int, len(all))
	for i, l := range all {
		pids[i] = l.PID
	}
	found, err := w.scales.trees(pids)
	if err != nil {
		w.still = false
		return nil, err
	}
	suspects, resident := map[int]Tree{}, map[int]uint64{}
	for i, l := range all {
		resident[l.ID] = found[i].Resident()
		if l.exceeded(resident[l.ID]) {
			suspects[l.ID] = found[i]
		}
	}
	w.still = len(suspects) == 0 && maps.Equal(resident, w.resident)
	w.resident = resident
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

// recycled is when each slot last lost a worker to its soft limit.
type recycled map[int]time.Time

// MayRecycle says whether the slot may lose a worker to its soft limit now, and takes it
// for lost then.
func (s *Scales) MayRecycle(slot int, now time.Time) bool {
	if now.Sub(s.recycled[slot]) < recyclePause {
		return false
	}
	s.recycled[slot] = now
	return true
}
