//go:build linux

package process

import (
	"sync"
	"time"
)

// An Asked is a worker of which is asked whether it waits for connections.
type Asked struct {
	PID     int
	Sockets []uint64    // inodes of those that it was given
	User    *Credential // as whom to look if we may not ourselves; nil: nobody
}

// lookAtMost is how long a worker may keep those waiting that are asked about after it.
const lookAtMost = 100 * time.Millisecond

// Look looks which of their sockets workers wait on for connections, at one worker after
// the other; others are workers that are not asked about. What was seen is told by the
// place of each in asked, together when all have been looked at, and Look returns.
//
// A worker can keep whoever reads its memory waiting (userfaultfd(2)). That is at its own
// expense: what is seen of it is told when it lets go, by another goroutine, and until
// then it should not be asked about again.
//
// A look takes in the order of 10 microseconds for each descriptor.
func Look(asked []Asked, others []int, told func(seen map[int]Waiting)) {
	workers := make([]int, len(asked))
	for i, a := range asked {
		workers[i] = a.PID
	}
	p := pass{asked: asked, seen: map[int]Waiting{}, told: told}
	var err error
	if p.trees, err = Trees(workers, others...); err != nil {
		for i, a := range asked {
			p.seen[i] = Waiting{On: make([]bool, len(a.Sockets)), Unsure: true}
		}
		p.tell()
		return
	}
	ended := make(chan struct{})
	p.walk(ended)
	<-ended
}

// pass is a pass through /proc.
type pass struct {
	asked []Asked
	trees []Tree
	ports ports
	told  func(map[int]Waiting)

	mu   sync.Mutex // guards what follows
	next int
	seen map[int]Waiting // and not told yet
}

// walk looks at those at whom nobody has begun to look. It ends early if a look takes too
// long; another goroutine goes on then.
func (p *pass) walk(ended chan<- struct{}) {
	for i := p.begin(); i < len(p.asked); i = p.begin() {
		relief := time.AfterFunc(lookAtMost, func() {
			p.tell()
			p.walk(ended)
		})
		p.enter(i, p.trees[i].waiting(p.asked[i].Sockets, p.asked[i].User, &p.ports))
		if !relief.Stop() {
			p.tell()
			return
		}
	}
	p.tell()
	close(ended)
}

// begin returns the next who is to be looked at.
func (p *pass) begin() (i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i = p.next
	p.next++
	return i
}

func (p *pass) enter(i int, w Waiting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[i] = w
}

// tell tells what was not told yet.
func (p *pass) tell() {
	p.mu.Lock()
	seen := p.seen
	p.seen = map[int]Waiting{}
	p.mu.Unlock()
	if len(seen) > 0 {
		p.told(seen)
	}
}
