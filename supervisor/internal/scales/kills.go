//go:build linux

package scales

import (
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/loop"
)

// countTime is how long a count is waited for: the kernel may be busy with cgroups. Who waits
// for it is told then that nothing is known.
const countTime = 100 * time.Millisecond

// kills is how many processes of our cgroup the kernel had killed when that was last
// counted, because memory ran out. SIGKILL alone does not tell: operators send it as well.
type kills struct {
	seen    uint64                     `state:"oom_kills"`
	count   func() (n uint64, ok bool) `state:"-"` // may take as long as the kernel does
	waiting []func(kernel bool)        `state:"-"` // for the count that begins next, in the order of the ends
	untold  int                        `state:"-"` // how many of whom somebody waits for an answer
	next    bool                       `state:"-"` // one is going to begin
	busy    bool                       `state:"-"` // one is under way
	late    bool                       `state:"-"` // one goes on that is not waited for any more
	blind   bool                       `state:"-"` // the next one counts also those of whom nothing was known
	after   []func()                   `state:"-"` // what waits until nobody waits
}

// FirstKills counts those that are about others, before there is a loop.
func (s *Scales) FirstKills() { s.kills.enter(s.kills.count()) }

// enter notes a count, and returns how many there were since the one before it.
func (k *kills) enter(n uint64, ok bool) (fresh uint64) {
	if !ok {
		return 0
	}
	if !k.blind {
		fresh = max(n, k.seen) - k.seen
	}
	k.seen, k.blind = n, false
	return fresh
}

// CountKills has a goroutine look how many processes the kernel has killed since that was
// last asked, in this image or one before it. It is called once before the ends are
// explained that were noticed together, and the count begins when the owner is done with
// them.
func (s *Scales) CountKills(l *loop.Loop) {
	if k := &s.kills; !k.next {
		k.next = true
		if !k.busy {
			go l.Report(func() { s.count(l) })
		}
	}
}

// count begins a count.
func (s *Scales) count(l *loop.Loop) {
	k := &s.kills
	asked := k.waiting
	k.waiting, k.next, k.busy = nil, false, true
	if k.late {
		s.counted(l, asked, 0)
		return
	}
	over := make(chan struct{})
	var n uint64
	var ok bool
	go func() {
		defer close(over)
		n, ok = k.count()
	}()
	go func() {
		limit := time.NewTimer(countTime)
		defer limit.Stop()
		select {
		case <-over:
			l.Report(func() { s.counted(l, asked, k.enter(n, ok)) })
			return
		case <-limit.C:
			l.Report(func() {
				k.late, k.blind = true, true
				s.counted(l, asked, 0)
			})
		}
		<-over
		l.Report(func() {
			k.late = false
			s.CountKills(l) // lest others are blamed for those that were killed meanwhile
		})
	}()
}

// counted tells who waited that the kernel has killed so many of them.
func (s *Scales) counted(l *loop.Loop, asked []func(bool), fresh uint64) {
	k := &s.kills
	k.untold -= len(asked)
	for i, tell := range asked {
		tell(uint64(i) < fresh)
	}
	k.busy = false
	if k.next {
		s.count(l)
		return
	}
	after := k.after
	k.after = nil
	for _, do := range after {
		do()
	}
}

// OutOfMemory says of a process that SIGKILL has ended whether it was the kernel, since
// memory ran out, when that is counted, which [Scales.CountKills] was called for.
func (s *Scales) OutOfMemory(tell func(kernel bool)) {
	s.kills.waiting = append(s.kills.waiting, tell)
	s.kills.untold++
}

// Counted has the owner do something when all who wait for a count are told, which may be
// at once.
func (s *Scales) Counted(do func()) {
	if k := &s.kills; k.untold > 0 {
		k.after = append(k.after, do)
		return
	}
	do()
}
