package intake

import (
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

const (
	// LongestYield is how long a connection may be left to a less busy worker at
	// most: the longer, the better it works with workers that are slow to wake up, and
	// the more it costs when that worker is not going to.
	LongestYield = 5 * time.Millisecond
	// shortestYield is not worth a wait.
	shortestYield = LongestYield / 20
	// yieldStep is how often a listener that yields looks again: what the runtime's
	// timers can do in an idle process.
	yieldStep = time.Millisecond
	// A worker that did not take what was left to it gets no other chance for as long
	// as this, twice as long each time, unless it shows a sign of life.
	firstSilence = time.Millisecond
	lastSilence  = 10 * time.Second
	// openMatters is by how many open connections those who are as busy differ at least
	// before it matters: one may be about to be closed.
	openMatters = 2
	// maxRivals is how many other workers are looked at.
	maxRivals = 64
	// The memory has room for far more workers than there are, and they are in the first
	// places. Where the last one is gets counted again after recount; meanwhile those are
	// found that come within so many places behind it.
	recount = int64(time.Second)
	beyond  = 4
)

// A spread has the less busy workers take the next connection from a queue that all
// share. Every worker is woken by a connection. The least busy ones take it at
// once; the others leave it to them, for a time in proportion to how much busier they
// are, and take it themselves if it is still there then.
//
// A worker that let that happen is not waited for until it shows a sign of life, or
// for a time that doubles: one that hangs costs the others next to nothing, and one
// that was only slow to wake up is soon back.
type spread struct {
	fleet  *scoreboard.Fleet
	own    int             // this worker's place
	silent map[int]silence // by place

	// How many requests this worker ends in a yieldStep, and how many connections in a
	// LongestYield, by what its standing says of the time between the last two looks that
	// were at least a yieldStep apart.
	requests, connections uint64
	looked                int64
	seen                  standing

	taken   int   // places up to the last one in which somebody was seen, or this worker's own
	counted int64 // when all of them were looked at, Monotonic
}

// A standing is what a worker has to do, and has done.
type standing struct {
	busy, open    uint64 // as on the fleet page
	ended, closed uint64 // requests and connections so far
}

// A silence is what was seen of a worker that did not take what was left to it.
type silence struct {
	id, beat uint64
	until    int64 // when it is waited for again, Monotonic
	length   time.Duration
}

// A yield is what a worker leaves to a less busy one, nothing if time is 0.
type yield struct {
	time  time.Duration
	place int   // of the less busy one
	until int64 // how busy this worker may be for nothing to be left; less than it is
}

// consider returns for how long the next connection is to be left to somebody else.
// Busy is what decides; among those that are as busy it is the number of open
// connections, since these bring requests later. An excess that this worker is done with
// before a wait is over is none: those that end a request every few microseconds are as
// busy as each other, and still differ in the connections that they are going to keep.
func (s *spread) consider(own standing) yield {
	if s == nil || own.busy == 0 && own.open < openMatters {
		return yield{}
	}
	now := scoreboard.Monotonic()
	s.observe(now, own)
	s.count(now)
	asBusy := own.busy + s.requests
	least := rival{-1, own.busy, own.open} // the least busy one, this worker itself at first
	fewest := least                        // the one with the fewest open connections
	for i := range min(s.taken-1, maxRivals) {
		place := (s.own + 1 + i) % s.taken
		if n, ok := s.fleet.Busy(place); !ok || n > asBusy {
			continue
		}
		o := s.fleet.Occupant(place)
		if o.ID == 0 || o.Capacity != 0 && o.Busy >= o.Capacity || o.Busy > asBusy || s.disregarded(place, o, now) {
			continue
		}
		r := rival{place, o.Busy, o.Open}
		if r.busy < least.busy || r.busy == least.busy && r.open < least.open {
			least = r
		}
		if r.open < fewest.open || r.open == fewest.open && r.busy < fewest.busy {
			fewest = r
		}
	}
	if excess := own.busy - least.busy; excess > s.requests {
		return yieldTo(least.place, excess, own.busy, int64(least.busy))
	}
	if excess := own.open - fewest.open; excess >= openMatters && excess > s.connections {
		return yieldTo(fewest.place, excess, own.open, int64(min(own.busy, fewest.busy))-int64(s.requests)-1)
	}
	return yield{}
}

// A rival is a worker that the next connection may be left to.
type rival struct {
	place      int
	busy, open uint64
}

// yieldTo returns what is left to a worker for an excess over it, which is part of all
// that this worker has.
func yieldTo(place int, excess, all uint64, until int64) yield {
	wait := time.Duration(float64(LongestYield) * float64(excess) / float64(all))
	if wait < shortestYield {
		return yield{}
	}
	return yield{wait, place, until}
}

// disregarded reports whether nothing is left to this worker for the time being.
func (s *spread) disregarded(place int, o scoreboard.Occupant, now int64) bool {
	was, ok := s.silent[place]
	if ok && (was.id != o.ID || was.beat != o.Beat) {
		delete(s.silent, place)
		return false
	}
	return ok && now < was.until
}

// count keeps the number of places up to date that may have to be looked at.
func (s *spread) count(now int64) {
	end := s.taken + beyond
	if now-s.counted >= recount {
		s.taken, s.counted = s.own+1, now
		end = s.fleet.Places()
	}
	for place := s.taken; place < min(end, s.fleet.Places()); place++ {
		if _, ok := s.fleet.Busy(place); ok {
			s.taken, end = place+1, max(end, place+1+beyond)
		}
	}
}

// observe keeps up to date how fast this worker gets done with what it has.
func (s *spread) observe(now int64, own standing) {
	passed := now - s.looked
	if passed < int64(yieldStep) {
		return
	}
	within := func(d time.Duration, n uint64) uint64 { return uint64(float64(n) * float64(d) / float64(passed)) }
	s.requests = within(yieldStep, own.ended-s.seen.ended)
	s.connections = within(LongestYield, own.closed-s.seen.closed)
	s.looked, s.seen = now, own
}

// disregard remembers a worker that did not take what was left to it.
func (s *spread) disregard(place int) {
	if s.silent == nil {
		s.silent = make(map[int]silence)
	}
	o := s.fleet.Occupant(place)
	length := firstSilence
	if was, ok := s.silent[place]; ok && was.id == o.ID && was.beat == o.Beat {
		length = min(2*was.length, lastSilence)
	}
	s.silent[place] = silence{o.ID, o.Beat, scoreboard.Monotonic() + int64(length), length}
}
