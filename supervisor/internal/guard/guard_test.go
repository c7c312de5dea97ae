package guard_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/guard"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// board is one that a test makes up.
type board struct {
	slots    []scoreboard.Slot
	beat     uint64
	failures scoreboard.Failures
}

func (b *board) AppendSlots(to []scoreboard.Slot) []scoreboard.Slot { return append(to, b.slots...) }

func (b *board) Counters() scoreboard.Counters { return scoreboard.Counters{Beat: b.beat} }

func (b *board) Failures() scoreboard.Failures { return b.failures }

// post is a guard in a time of its own.
type post struct {
	*guard.Guard
	now     time.Time
	charges []guard.Charge
}

func newPost() *post {
	p := &post{now: time.Unix(1000, 0)}
	p.Guard = guard.New(func() int64 { return p.now.UnixNano() })
	return p
}

// pass lets time pass, with every look that is due, and returns what the last one saw.
func (p *post) pass(d time.Duration) (last []guard.Sight) {
	for until := p.now.Add(d); ; {
		p.Keep(p.now, slices.Values(p.charges))
		due := p.Next()
		if due.IsZero() || due.After(until) {
			p.now = until
			return last
		}
		p.now = due
		last = p.Look(p.now)
	}
}

func (p *post) request(b *board, flags scoreboard.Flags) {
	b.slots = append(b.slots, scoreboard.Slot{Index: len(b.slots), Sequence: 2, Start: p.now.UnixNano(), Progress: p.now.UnixNano(), Flags: flags})
}

// What does not end is seen to the moment, and nobody is looked at who is well.
func TestOverdue(t *testing.T) {
	for name, flags := range map[string]scoreboard.Flags{"request": 0, "stream": scoreboard.Streaming, "upgraded": scoreboard.Upgraded} {
		t.Run(name, func(t *testing.T) {
			limit := 10 * time.Second
			limits := map[string]guard.Limits{
				"request":  {Limits: scoreboard.Limits{Timeout: limit}},
				"stream":   {Limits: scoreboard.Limits{Stream: limit}},
				"upgraded": {Limits: scoreboard.Limits{Upgrade: limit}},
			}[name]
			p, b := newPost(), &board{}
			p.charges = []guard.Charge{{ID: 7, Board: b, Header: true, Limits: limits}}
			p.pass(3 * time.Second)
			p.request(b, flags)
			p.pass(2 * time.Second)
			p.request(b, flags)
			if seen := p.pass(limit + protocol.OverdueGrace - 2*time.Second - time.Millisecond); slices.ContainsFunc(seen, func(s guard.Sight) bool { return s.Overdue }) {
				t.Errorf("too early it sees %+v", seen)
			}
			want := []guard.Sight{{ID: 7, Overdue: true, Innocents: 1}}
			if seen := p.pass(time.Millisecond); !slices.Equal(seen, want) {
				t.Errorf("in time it sees %+v, want %+v", seen, want)
			}
			if got := p.Overdue(7); got.Index != 0 {
				t.Errorf("the oldest request is %+v", got)
			}
			b.slots = nil
			if seen := p.pass(time.Second); seen[0] != (guard.Sight{ID: 7}) {
				t.Errorf("of a worker that goes on it sees %+v", seen)
			}
		})
	}
}

// The order in which a worker is told to be watched, writes its header and gives its
// first sign of life does not matter: from when all is known it is watched.
func TestWhoeverIsWatched(t *testing.T) {
	limits := guard.Limits{Watchdog: 4 * time.Second}
	for name, play := range map[string]func(*post, *board){
		"header first": func(p *post, b *board) {
			p.charges = []guard.Charge{{ID: 1, Board: b, Header: true, Limits: limits}}
		},
		"header later": func(p *post, b *board) {
			p.charges = []guard.Charge{{ID: 1, Board: b, Limits: limits}}
			p.pass(20 * time.Second)
			p.charges[0].Header = true
		},
		"beat first": func(p *post, b *board) {
			p.Beat(1, p.now)
			p.pass(20 * time.Second)
			p.charges = []guard.Charge{{ID: 1, Board: b, Limits: limits}}
		},
		"beat later": func(p *post, b *board) {
			p.charges = []guard.Charge{{ID: 1, Board: b, Limits: limits}}
			p.pass(20 * time.Second)
			p.Beat(1, p.now)
		},
		"not meanwhile": func(p *post, b *board) {
			p.charges = []guard.Charge{{ID: 1, Board: b, Header: true, Limits: limits}}
			p.pass(time.Second)
			all := p.charges
			p.charges = nil
			if p.pass(20 * time.Second); !p.Next().IsZero() {
				panic("it looks at nobody")
			}
			p.charges = all
		},
		"by another guard": func(p *post, b *board) {
			p.charges = []guard.Charge{{ID: 1, Board: b, Header: true, Limits: limits}}
			p.pass(0)
			next := guard.New(func() int64 { return p.now.UnixNano() })
			next.Resume(1, p.Record(1))
			p.Guard = next
			if seen := p.Look(p.now); len(seen) > 0 || !p.Next().IsZero() {
				panic("it looks at somebody whom it was not told to look at")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, b := newPost(), &board{}
			play(p, b)
			if seen := p.pass(limits.Watchdog + protocol.OverdueGrace - time.Millisecond); slices.ContainsFunc(seen, func(s guard.Sight) bool { return s.Silent }) {
				t.Errorf("too early it sees %+v", seen)
			}
			if seen := p.pass(time.Millisecond); len(seen) != 1 || !seen[0].Silent {
				t.Errorf("in time it sees %+v, want a silent worker", seen)
			}
			b.beat++
			if seen := p.pass(time.Second); len(seen) != 1 || seen[0].Silent {
				t.Errorf("of a worker that gives a sign of life it sees %+v", seen)
			}
		})
	}
}

// Where nothing can become due nobody looks.
func TestIdle(t *testing.T) {
	p := newPost()
	p.charges = []guard.Charge{{ID: 1, Board: &board{}, Header: true}, {ID: 2, Board: &board{}, Limits: guard.Limits{Limits: scoreboard.Limits{Timeout: time.Second}, Watchdog: time.Second}}}
	if p.pass(time.Hour); !p.Next().IsZero() {
		t.Errorf("the next look is at %v", p.Next())
	}
	p.Forget(1)
	p.charges = []guard.Charge{{ID: 1, Board: &board{}, Header: true, Limits: guard.Limits{Limits: scoreboard.Limits{Timeout: 2 * time.Minute}}}}
	looks := 0
	for until := p.now.Add(time.Hour); p.now.Before(until); looks++ {
		p.Keep(p.now, slices.Values(p.charges))
		p.now = p.Next()
		p.Look(p.now)
	}
	if looks > 31 {
		t.Errorf("%d looks at an idle worker in an hour", looks)
	}
}

// A worker that fails says so, and is looked at again until it does not, ever more rarely;
// the others are looked at with it, whatever their limits.
func TestFailing(t *testing.T) {
	p, failing, well := newPost(), &board{}, &board{}
	for id, b := range map[int]*board{1: failing, 2: well} {
		p.charges = append(p.charges, guard.Charge{ID: id, Board: b, Header: true, Limits: guard.Limits{Failures: 3}})
	}
	p.Keep(p.now, slices.Values(p.charges))
	if next := p.Next(); !next.IsZero() {
		t.Fatalf("nobody fails, and there is a look at %v", next)
	}
	clock := p.now.UnixNano()
	failing.failures = scoreboard.Failures{Row: 3, Since: clock - int64(time.Second), Succeeded: clock - int64(time.Minute)}
	well.failures = scoreboard.Failures{Row: 2, Since: -1, Succeeded: clock + int64(time.Hour)} // a time to come is now
	p.Suspect(1, p.now)
	p.Suspect(9, p.now)
	if next := p.Next(); !next.Equal(p.now) {
		t.Fatalf("the next look is at %v", next)
	}
	want := []guard.Sight{
		{ID: 1, Failing: p.now.Add(-time.Second), Succeeded: p.now.Add(-time.Minute)},
		{ID: 2, Succeeded: p.now},
	}
	if got := p.Look(p.now); !slices.Equal(got, want) {
		t.Errorf("seen is %+v, want %+v", got, want)
	}
	looks := 0
	for begin := p.now; p.now.Sub(begin) < time.Minute; looks++ {
		p.now = p.Next()
		p.Look(p.now)
	}
	if looks < 10 || looks > 20 {
		t.Errorf("there are %d looks in a minute", looks)
	}
	failing.failures.Row = 0
	p.now = p.Next()
	if got := p.Look(p.now); !got[0].Failing.IsZero() || !p.Next().IsZero() {
		t.Errorf("it does not fail any more, and is %+v, looked at again at %v", got[0], p.Next())
	}
}

// How many requests last is looked at while a worker lingers, at once and often, and nobody
// looks before and after.
func TestLinger(t *testing.T) {
	p, b := newPost(), &board{}
	p.charges = []guard.Charge{{ID: 7, Board: b, Header: true}}
	p.request(b, 0)
	p.pass(time.Hour)
	p.request(b, scoreboard.Ended)
	p.request(b, 0)
	if due := p.Next(); !due.IsZero() {
		t.Errorf("it looks at %v at one that does not linger", due)
	}
	p.charges[0].Linger = true
	expect := func(after time.Duration, want ...guard.Sight) {
		t.Helper()
		if seen := p.pass(after); !slices.Equal(seen, want) {
			t.Errorf("after %v it sees %+v, want %+v", after, seen, want)
		}
	}
	expect(time.Millisecond, guard.Sight{ID: 7, Innocents: 2, Streams: 1})
	expect(1250*time.Millisecond, guard.Sight{ID: 7, Innocents: 2, Streams: 2})
	b.slots = b.slots[2:]
	expect(250*time.Millisecond, guard.Sight{ID: 7, Innocents: 1, Streams: 1})
	p.charges[0].Linger = false
	p.pass(time.Second)
	if due := p.Next(); !due.IsZero() {
		t.Errorf("it looks at %v at one that does not linger any more", due)
	}
}
