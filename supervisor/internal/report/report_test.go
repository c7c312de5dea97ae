//go:build linux

package report

import (
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
	"github.com/gosuper/gosuper/supervisor/internal/manager"
	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// TestBacklog: connections that nobody has accepted are counted.
func TestBacklog(t *testing.T) {
	address, err := socket.Parse("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := socket.Open([]socket.Address{address}, socket.Options{})
	if err == nil {
		t.Cleanup(func() { sockets.Close() })
		err = sockets.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	now, loaders := time.Now(), preload.New()
	r := Report{
		Fleet: fleet.New(1, fleet.Settings{}, func() float64 { return 0 }), Roster: roster.New(), Books: books.New(now), Loaders: &loaders, Reloads: reloads.New(), Files: &ownfiles.Files{},
		Revisions: &revision.Known{Current: &revision.Revision{Config: &config.Config{}, Sockets: sockets}},
	}
	for n := range 3 {
		if got := r.Status(now).Backlog; got != n {
			t.Errorf("%d connections wait, and the status has %d", n, got)
		}
		c, err := net.Dial("tcp", strings.TrimPrefix(sockets.URLs()[0], "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
}

// TestLife: from the start to the stop of a master with one worker.
func TestLife(t *testing.T) {
	now := time.Now()
	first := &revision.Revision{Number: 1, Config: &config.Config{}}
	settings := fleet.Settings{Workers: 1, Ready: fleet.ReadyNotify, StartupTimeout: time.Hour, StartupAttempts: 1, Surge: fleet.Surge{Count: 1}}
	loaders := preload.New()
	r := Report{
		Log: zap.NewNop(), Fleet: fleet.New(1, settings, func() float64 { return 0 }), Roster: roster.New(),
		Revisions: &revision.Known{All: map[int]*revision.Revision{1: first}, Current: first},
		Books:     books.New(now), Loaders: &loaders, Reloads: reloads.New(),
	}
	step := func(ev fleet.Event) {
		for _, a := range r.Fleet.Step(now, ev) {
			if a, ok := a.(fleet.Spawn); ok {
				r.Roster.Enter(&roster.Worker{Identity: a.Worker.Identity, Rev: first})
			}
		}
	}
	for _, c := range []struct {
		what  string
		do    func()
		state control.State
		phase manager.Phase
		ready bool
	}{
		{"it starts", func() { step(fleet.Tick{}) }, control.Starting, manager.Starting, false},
		{"a worker is ready", func() { step(fleet.Executed{ID: 1}); step(fleet.SaidReady{ID: 1}) }, control.Running, manager.Running, true},
		{"a reload is prepared", func() { r.Reloads.Begin() }, control.Reloading, manager.Reloading, true},
		{"it is refused", func() { r.Reloads.Refuse("no such file") }, control.Running, manager.Running, true},
		{"it stops", func() { step(fleet.Stop{Quick: true}) }, control.Stopping, manager.Stopping, false},
	} {
		c.do()
		h := r.Health(now)
		if !h.Healthy || h.Ready != c.ready || h.State != c.state || r.Phase() != c.phase || r.Summary(now).Phase != c.phase {
			t.Errorf("%s: %+v, phase %v", c.what, h, r.Phase())
		}
	}
	if is := r.Summary(now).Reload; is != "refused: no such file" {
		t.Errorf("of the reload is said %q", is)
	}
	if _, _, gaveUp := r.GaveUp(); gaveUp {
		t.Error("it gave up")
	}
}

// TestGaveUp: the worker that could not boot is named, as long as it is known and after.
func TestGaveUp(t *testing.T) {
	now := time.Now()
	first := &revision.Revision{Number: 1, Config: &config.Config{}}
	loaders := preload.New()
	r := Report{
		Log: zap.NewNop(), Fleet: fleet.New(1, fleet.Settings{Workers: 1, StartupTimeout: time.Hour, StartupAttempts: 1}, func() float64 { return 0 }),
		Roster: roster.New(), Revisions: &revision.Known{All: map[int]*revision.Revision{1: first}, Current: first},
		Books: books.New(now), Loaders: &loaders, Reloads: reloads.New(),
	}
	w := &roster.Worker{Rev: first, Process: roster.Process{PID: 1 << 23}}
	w.ID = 1
	r.Fleet.Step(now, fleet.Tick{})
	r.Roster.Enter(w)
	w.Gone, w.Status = true, process.Status{Code: 3}
	r.Fleet.Step(now, fleet.Exited{ID: 1})
	for range 2 {
		culprit, e, gaveUp := r.GaveUp()
		if !gaveUp || culprit != 1 || e.Status != "exit status 3" {
			t.Errorf("it gave up: %v, after worker %d: %+v", gaveUp, culprit, e)
		}
		if is := r.Summary(now).GaveUp; is != "worker 1 could not boot: exit status 3" {
			t.Errorf("of that is said %q", is)
		}
		r.Books.Enter(incidents.Incident{Worker: 1, Status: "exit status 3"})
		r.Roster.Remove(1)
	}
}

// TestWaitForLease: who keeps the lease of a missing worker is named.
func TestWaitForLease(t *testing.T) {
	now := time.Now()
	first := &revision.Revision{Number: 1, Config: &config.Config{}}
	loaders := preload.New()
	lease := fleet.Lease{"gpu": "0"}
	settings := fleet.Settings{Workers: 1, Leases: []fleet.Lease{lease}, Ready: fleet.ReadyNotify, StartupTimeout: time.Hour, StartupAttempts: 1}
	r := Report{
		Log: zap.NewNop(), Fleet: fleet.New(1, settings, func() float64 { return 0 }), Roster: roster.New(),
		Revisions: &revision.Known{All: map[int]*revision.Revision{1: first}, Current: first}, Books: books.New(now), Loaders: &loaders, Reloads: reloads.New(),
	}
	says := func(want string, events ...fleet.Event) {
		t.Helper()
		r.Fleet.Step(now, events...)
		if got := r.Health(now).Reason; got != want || r.Summary(now).Wait != want {
			t.Errorf("after %v it says %q, want %q", events, got, want)
		}
	}
	says("", fleet.Tick{})
	says("", fleet.Executed{ID: 1}, fleet.SaidReady{ID: 1})
	says("no lease is free: gpu=0 is held by what is left of worker 1", fleet.Exited{ID: 1})
	now = now.Add(fleet.UnkillableAfter + fleet.Lateness/2)
	says("no lease is free: gpu=0 is held by worker 1, which SIGKILL has not ended", fleet.Tick{})
	says("", fleet.Cleared{ID: 1})
}
