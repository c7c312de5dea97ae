//go:build linux

package listeners

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

func open(t *testing.T) *socket.Set {
	t.Helper()
	address, err := socket.Parse("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	set, err := socket.Open([]socket.Address{address}, socket.Options{Backlog: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set
}

func settings(workers int) fleet.Settings {
	return fleet.Settings{
		Workers: workers, Ready: fleet.ReadyNotify, StartupTimeout: time.Hour, StartupAttempts: 1, Surge: fleet.Surge{Count: 1}, DrainTimeout: time.Hour,
	}
}

// house is a master with workers of the first revision, while the second is in force, and
// what becomes of the sockets of the first.
type house struct {
	Listeners
	fleet  *fleet.Fleet
	roster *roster.Roster
	first  *revision.Revision
	noted  []fleet.Event
	steps  int
}

func newHouse(t *testing.T, workers int) *house {
	t.Helper()
	h := &house{
		roster: roster.New(), first: &revision.Revision{Number: 1, Sockets: open(t)},
		fleet: fleet.New(1, settings(workers), func() float64 { return 0 }),
	}
	second := &revision.Revision{Number: 2, Sockets: open(t)}
	for _, a := range h.fleet.Step(time.Now(), fleet.Tick{}) {
		if a, ok := a.(fleet.Spawn); ok {
			h.roster.Enter(&roster.Worker{Identity: a.Worker.Identity, Rev: h.first})
		}
	}
	l := loop.New()
	h.Work(socket.NewPaths(l.Report, func(string, error) {}))
	h.Attach(Options{
		Log: zap.NewNop(), Loop: l, Fleet: h.fleet, Roster: h.roster,
		Revisions: &revision.Known{All: map[int]*revision.Revision{1: h.first, 2: second}, Current: second},
		Note:      func(ev fleet.Event) { h.noted = append(h.noted, ev) }, Step: func(...fleet.Event) { h.steps++ },
	})
	return h
}

// TestLeave: a socket of an older revision is given up with the last worker that accepts
// on it, and not before; the worker is told.
func TestLeave(t *testing.T) {
	h := newHouse(t, 1)
	m, err := scoreboard.Create()
	if err != nil {
		t.Skip("no shared memory here")
	}
	defer m.Close()
	w := h.roster.Of(1)
	w.Memory = m
	board, err := scoreboard.Open(int(m.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	h.fleet.Step(time.Now(), fleet.Executed{ID: 1}, fleet.SaidReady{ID: 1})
	if h.Leave(w); len(h.Leaving()) != 0 || board.Leaving(0) {
		t.Error("a socket on which a worker accepts is given up")
	}
	h.fleet.Step(time.Now(), fleet.Reload{Revision: 2, Settings: settings(1)})
	h.fleet.Step(time.Now(), fleet.Executed{ID: 2}, fleet.SaidReady{ID: 2})
	if h.Leave(w); len(h.Leaving()) != 1 || !board.Leaving(0) {
		t.Errorf("%d sets leave, and the worker is told: %v", len(h.Leaving()), board.Leaving(0))
	}
}

// TestReplaceHolders: whoever holds a socket that was renewed is replaced, but not one
// that is gone.
func TestReplaceHolders(t *testing.T) {
	h := newHouse(t, 2)
	h.roster.Of(2).Gone = true
	h.ReplaceHolders(h.first.Sockets)
	if len(h.noted) != 1 || h.noted[0] != (fleet.Recycle{ID: 1, Reason: fleet.ReasonRecycle}) || h.steps != 1 {
		t.Errorf("events %v in %d steps", h.noted, h.steps)
	}
	h.noted = nil
	if h.ReplaceHolders(open(t)); h.noted != nil {
		t.Errorf("of a socket that nobody holds: %v", h.noted)
	}
}
