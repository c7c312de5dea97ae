//go:build linux

package demand

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// shop is a fleet whose demand is measured, on one socket.
type shop struct {
	*testing.T
	Meter
	loop   *loop.Loop
	fleet  *fleet.Fleet
	roster *roster.Roster
	boards map[int]*scoreboard.Board
	addr   string
	told   []fleet.Demand
	stale  int // how often the limits of the machine were asked for
	now    time.Time
}

// open opens a shop of so many workers, all of which are ready, and some of which
// cooperate.
func open(t *testing.T, workers, most, cooperating int) *shop {
	t.Helper()
	address, err := socket.Parse("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := socket.Open([]socket.Address{address}, socket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sockets.Close() })
	s := &shop{
		T: t, loop: loop.New(), roster: roster.New(), boards: map[int]*scoreboard.Board{}, now: time.Now(),
		addr: strings.TrimPrefix(sockets.URLs()[0], "tcp://"),
		fleet: fleet.New(1, fleet.Settings{
			Workers: workers, WorkersMax: most, InFlight: 4, IdleTimeout: time.Hour,
			Ready: fleet.ReadyNotify, StartupTimeout: time.Hour, StartupAttempts: 1, Surge: fleet.Surge{Count: 1}, DrainTimeout: time.Hour,
		}, func() float64 { return 0 }),
	}
	r := &revision.Revision{Number: 1, Config: config.Default(), Sockets: sockets}
	s.Attach(Options{
		Log: zap.NewNop(), Loop: s.loop, Fleet: s.fleet, Roster: s.roster,
		Revisions: &revision.Known{All: map[int]*revision.Revision{1: r}, Current: r},
		Listen:    func(set *socket.Set) error { return set.Listen() },
		Stale:     func(time.Time, time.Duration) { s.stale++ },
		Step: func(events ...fleet.Event) {
			for _, ev := range events {
				s.told = append(s.told, ev.(fleet.Demand))
			}
			s.step(events...)
		},
	})
	s.step(fleet.Tick{})
	for id := range s.boards {
		if id <= cooperating {
			s.step(fleet.Cooperates{ID: id})
		}
		s.step(fleet.Executed{ID: id}, fleet.SaidReady{ID: id})
	}
	if err := sockets.Listen(); err != nil {
		t.Fatal(err)
	}
	return s
}

// step has the brain take a step, and enters whom it wants.
func (s *shop) step(events ...fleet.Event) {
	s.Helper()
	for _, a := range s.fleet.Step(s.now, events...) {
		spawn, ok := a.(fleet.Spawn)
		if !ok {
			continue
		}
		m, err := scoreboard.Create()
		if err != nil {
			s.Fatal(err)
		}
		s.Cleanup(func() { m.Close() })
		if s.boards[spawn.Worker.ID], err = scoreboard.Open(int(m.File().Fd())); err != nil {
			s.Fatal(err)
		}
		s.roster.Enter(&roster.Worker{Identity: spawn.Worker.Identity, Memory: m})
	}
	s.Keep()
}

// look looks when it is time, and returns what it told. next is how long after that it
// has to look again; 0: when a connection arrives.
func (s *shop) look(next time.Duration) fleet.Demand {
	s.Helper()
	due := s.Meter.next
	if due.IsZero() {
		s.Fatal("nobody looks")
	}
	s.now = due
	s.Look(due)
	if len(s.told) != 1 {
		s.Fatalf("told %v", s.told)
	}
	d := s.told[0]
	s.told = nil
	if got := s.Meter.next; got.IsZero() != (next == 0) || next > 0 && got != s.now.Add(next) {
		s.Errorf("it looks again after %v, want %v", got.Sub(s.now), next)
	}
	return d
}

// dial makes a connection that nobody accepts.
func (s *shop) dial() {
	s.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
}

// Where nobody runs nobody looks until a connection arrives, which is told at once.
func TestNobody(t *testing.T) {
	s := open(t, 0, 4, 0)
	if d := s.look(0); d.Waiting != 0 || len(d.InFlight) != 0 {
		t.Errorf("%+v of nobody", d)
	}
	if due := s.Due(); !due.IsZero() {
		t.Errorf("it wakes at %v", due)
	}
	s.dial()
	select {
	case do := <-s.loop.C:
		do()
	case <-time.After(time.Minute):
		t.Fatal("it is not told of the connection")
	}
	if len(s.told) != 1 || s.told[0].Waiting != 1 {
		t.Errorf("told %+v", s.told)
	}
	if len(s.boards) != 1 {
		t.Errorf("%d workers are asked for", len(s.boards))
	}
}

// What is in flight is what the boards say, of each worker. It is looked at often while
// more may be needed, and seldom when there is nothing to do.
func TestInFlight(t *testing.T) {
	s := open(t, 2, 4, 2)
	if d := s.look(seldom); !slices.Equal(d.InFlight, []fleet.InFlight{{ID: 1}, {ID: 2}}) {
		t.Errorf("at first %+v", d)
	}
	for range 3 {
		s.boards[1].RequestStarted()
	}
	if d := s.look(often); !slices.Equal(d.InFlight, []fleet.InFlight{{ID: 1, N: 3}, {ID: 2}}) {
		t.Errorf("%+v, want three in flight", d)
	}
	for range 3 {
		s.boards[1].RequestFinished(200)
	}
	s.look(seldom)

	// One that begins and ends between two looks counts all the same.
	s.boards[2].RequestStarted()
	s.boards[2].RequestFinished(200)
	if d := s.look(often); !slices.Equal(d.InFlight, []fleet.InFlight{{ID: 1}, {ID: 2, N: 1}}) {
		t.Errorf("%+v, want the one that is over", d)
	}

	// On a connection that stays open a request may come that nobody tells of.
	s.boards[2].ConnAccepted()
	s.look(rarely)
	s.boards[2].ConnClosed()
	s.look(seldom)

	// A board is not believed when it says more than can be.
	s.boards[1].RequestFinished(200)
	if d := s.look(seldom); d.InFlight[0].N != 0 {
		t.Errorf("%+v", d)
	}
}

// Where no more workers may come there is no hurry.
func TestAtMost(t *testing.T) {
	s := open(t, 2, 2, 2)
	s.look(0)
	s.boards[1].RequestStarted()
	s.dial()
	(<-s.loop.C)()
	if s.told = nil; s.Meter.next.Sub(s.now) <= often {
		t.Errorf("it looks again after %v", s.Meter.next.Sub(s.now))
	}
	if d := s.look(rarely); d.Waiting != 1 || d.InFlight[0].N != 1 {
		t.Errorf("%+v", d)
	}
}

// Of workers whose requests cannot be seen only the queue tells, and only what is there
// twice: one that has just come may be accepted just now.
func TestBlind(t *testing.T) {
	s := open(t, 1, 4, 0)
	s.look(0)
	s.dial()
	select {
	case do := <-s.loop.C:
		do()
	case <-time.After(time.Minute):
		t.Fatal("it is not told of the connection")
	}
	if len(s.told) != 1 || s.told[0].Waiting != 0 || len(s.told[0].InFlight) != 0 {
		t.Errorf("at first %+v", s.told)
	}
	s.told = nil
	if d := s.look(often); d.Waiting != 1 {
		t.Errorf("then %+v", d)
	}
}
