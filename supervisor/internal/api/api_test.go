//go:build linux

package api

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
	"github.com/gosuper/gosuper/supervisor/internal/report"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/upgrade"
)

// play asks a master with one worker, of which only the brain is real. reload is what it
// does with a reload, and tell how its upgrades go.
func play(t *testing.T, reload func(*reloads.Reloads, ...*reloads.Waiter), tell func(*upgrade.Upgrades), ask func(context.Context, *API, *fleet.Fleet)) {
	synctest.Test(t, func(t *testing.T) {
		l, f, upgrades := loop.New(), fleet.New(1, fleet.Settings{Workers: 1, StartupTimeout: time.Hour, StartupAttempts: 1}, func() float64 { return 0 }), upgrade.New()
		r := &report.Report{Fleet: f, Roster: roster.New(), Reloads: reloads.New()}
		step := func(events ...fleet.Event) {
			for _, a := range f.Step(time.Now(), events...) {
				if a, ok := a.(fleet.Spawn); ok {
					r.Roster.Enter(&roster.Worker{Identity: a.Worker.Identity})
				}
			}
		}
		step(fleet.Tick{})
		end := make(chan struct{})
		go func() {
			defer l.End()
			l.Await(end, 24*time.Hour)
		}()
		a := New(Options{
			Log: zap.NewNop(), Loop: l, Report: r, Upgrades: &upgrades, Step: step,
			Stop:    func(quick bool) { step(fleet.Stop{Quick: quick}) },
			Reload:  func(who ...*reloads.Waiter) { reload(r.Reloads, who...) },
			Upgrade: func() { tell(&upgrades) },
		})
		ask(t.Context(), a, f)
		close(end)
		<-a.Ended()
		if _, err := a.Scale(t.Context(), control.Scaling{By: new(1)}); !errors.Is(err, loop.ErrEnded) {
			t.Errorf("a master that has ended: %v", err)
		}
	})
}

// TestRefused: what cannot be done changes nothing.
func TestRefused(t *testing.T) {
	play(t, nil, nil, func(ctx context.Context, a *API, f *fleet.Fleet) {
		for what, do := range map[string]func() error{
			"scale to 0":      func() error { _, err := a.Scale(ctx, control.Scaling{Workers: new(0)}); return err },
			"scale too far":   func() error { _, err := a.Scale(ctx, control.Scaling{By: new(math.MaxInt)}); return err },
			"recycle unknown": func() error { _, err := a.Recycle(ctx, control.Recycling{Workers: []int{1, 7}}); return err },
		} {
			if err, ok := do().(*control.Error); !ok || err.Message == "" || err.Status < 400 {
				t.Errorf("%s: %v", what, err)
			}
		}
		if got, err := a.Scale(ctx, control.Scaling{By: new(-5)}); err != nil || got.To != 1 {
			t.Errorf("scaled to %+v, %v, want 1", got, err)
		}
		if n := f.Target(); n != 1 {
			t.Errorf("%d workers are wanted, not the one there was", n)
		}
		if err := a.Stop(ctx, false); err != nil {
			t.Error(err)
		}
		for what, do := range map[string]func() error{
			"scale":   func() error { _, err := a.Scale(ctx, control.Scaling{By: new(1)}); return err },
			"recycle": func() error { _, err := a.Recycle(ctx, control.Recycling{All: true}); return err },
		} {
			if do() == nil {
				t.Errorf("%s: a stopping master does it", what)
			}
		}
		if err := a.Stop(ctx, true); err != nil {
			t.Error(err)
		}
	})
}

// TestReload: who waits hears how it ended, and who does not, or gives up, not for ever.
func TestReload(t *testing.T) {
	done := control.Reload{Result: control.OK}
	hang := func(r *reloads.Reloads, who ...*reloads.Waiter) { r.Begin(who...) }
	play(t, func(_ *reloads.Reloads, who ...*reloads.Waiter) { who[0].Tell(done) }, nil, func(ctx context.Context, a *API, _ *fleet.Fleet) {
		if got, err := a.Reload(ctx, true); err != nil || got != done {
			t.Errorf("one that is done: %+v, %v", got, err)
		}
	})
	play(t, hang, nil, func(ctx context.Context, a *API, _ *fleet.Fleet) {
		begin := time.Now()
		if got, err := a.Reload(ctx, false); err != nil || got.Result != control.Underway || time.Since(begin) != PrepareTime {
			t.Errorf("one whose preparation hangs: %+v after %v, %v", got, time.Since(begin), err)
		}
		short, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if _, err := a.Reload(short, true); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who gives up hears %v", err)
		}
	})
}

// TestUpgrade: an upgrade that was refused is an error, which says why.
func TestUpgrade(t *testing.T) {
	play(t, nil, func(u *upgrade.Upgrades) { u.Refuse(errors.New("not today"), nil) }, func(ctx context.Context, a *API, _ *fleet.Fleet) {
		_, err := a.Upgrade(ctx)
		if e, ok := err.(*control.Error); !ok || e.Status != 409 || e.Message != "the upgrade was refused, and nothing was changed: not today" {
			t.Errorf("refused: %v", err)
		}
		if got, err := a.Upgraded(ctx); err != nil || got.Result != control.Refused || got.Error != "not today" {
			t.Errorf("the last one: %+v, %v", got, err)
		}
	})
	play(t, nil, func(u *upgrade.Upgrades) { u.Start("v1"); u.Tell() }, func(ctx context.Context, a *API, _ *fleet.Fleet) {
		if got, err := a.Upgrade(ctx); err != nil || got.Result != control.Underway || got.From != "v1" {
			t.Errorf("one that is agreed to: %+v, %v", got, err)
		}
	})
}
