//go:build linux

package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
)

// Scale changes the number of workers.
func (a *API) Scale(ctx context.Context, by control.Scaling) (control.Scaled, error) {
	var result control.Scaled
	var refused error
	workers := a.options.Report.Fleet
	err := a.options.Loop.Do(ctx, func() {
		result.From = workers.Floor()
		switch {
		case by.Workers != nil:
			result.To = *by.Workers
		case by.By != nil:
			result.To = max(result.From+min(*by.By, config.MaxWorkers), workers.Bounded(0))
		}
		switch {
		case workers.Stopping():
			refused = errStopping()
		case result.To < workers.Bounded(0) || result.To > config.MaxWorkers:
			refused = &control.Error{
				Status:  http.StatusBadRequest,
				Message: fmt.Sprintf("workers must be a number from %d to %d, not %d", workers.Bounded(0), config.MaxWorkers, result.To),
			}
		case workers.Bounded(result.To) < result.To && workers.Bounded(result.To) == workers.Sizing().Most:
			refused = &control.Error{
				Status:  http.StatusConflict,
				Message: fmt.Sprintf("workers_max is %d: there cannot be %d workers at least", workers.Bounded(result.To), result.To),
			}
		case workers.Bounded(result.To) < result.To:
			refused = &control.Error{
				Status:  http.StatusConflict,
				Message: fmt.Sprintf("there are leases for %d workers, not %d: list more in [resources] and reload", workers.Bounded(result.To), result.To),
			}
		default:
			a.options.Log.Info("asked", zap.String("for", "scale"), zap.Int("workers", result.To))
			a.options.Step(fleet.ScaleBy{N: result.To - result.From})
		}
	})
	if err != nil {
		return result, err
	}
	return result, refused
}

// Recycle has workers replaced gracefully: all that are wanted or, if one of
// them does not exist, none.
func (a *API) Recycle(ctx context.Context, which control.Recycling) (control.Recycled, error) {
	var ids []int
	var refused error
	err := a.options.Loop.Do(ctx, func() {
		if a.options.Report.Fleet.Stopping() {
			refused = errStopping()
			return
		}
		if ids, refused = a.named(which); refused != nil {
			return
		}
		a.options.Log.Info("asked", zap.String("for", "recycle"), zap.Ints("workers", ids))
		orders := make([]fleet.Event, len(ids))
		for i, id := range ids {
			orders[i] = fleet.Recycle{ID: id, Reason: fleet.ReasonRecycle}
		}
		a.options.Step(orders...)
	})
	if err != nil {
		return control.Recycled{}, err
	}
	return control.Recycled{Workers: ids}, refused
}

// named are the ids of the workers that are meant.
func (a *API) named(which control.Recycling) ([]int, error) {
	if !which.All {
		for _, id := range which.Workers {
			if a.options.Report.Roster.Of(id) == nil {
				return nil, &control.Error{
					Status: http.StatusNotFound, Message: fmt.Sprintf("there is no worker %d", id),
					Hint: "gosuper status shows the ids; a replacement has another one",
				}
			}
		}
		return which.Workers, nil
	}
	ids := []int{}
	for w := range a.options.Report.Fleet.Workers() {
		ids = append(ids, w.ID)
	}
	return ids, nil
}

// Stop is the stop of SIGTERM, with quick that of SIGQUIT. It does not wait for
// the end, see [API.Ended].
func (a *API) Stop(ctx context.Context, quick bool) error {
	return a.options.Loop.Do(ctx, func() {
		a.options.Log.Info("asked", zap.String("for", "stop"), zap.Bool("quick", quick))
		a.options.Stop(quick)
	})
}

func errStopping() error {
	return &control.Error{Status: http.StatusConflict, Message: "the master is stopping"}
}

// PrepareTime is how long somebody waits to hear whether the configuration is
// refused who does not want to wait for the reload.
const PrepareTime = 5 * time.Second

// Reload is the reload of SIGHUP. It returns as soon as the configuration was
// refused or the first worker of it is on its way, or when that takes long; with
// wait it returns when the reload is over. Whoever waits for a reload that another one
// replaces gets the outcome of that one, which has read the same files later.
func (a *API) Reload(ctx context.Context, wait bool) (control.Reload, error) {
	w := reloads.NewWaiter(wait)
	err := a.options.Loop.Do(ctx, func() {
		a.options.Log.Info("asked", zap.String("for", "reload"))
		a.options.Reload(w)
	})
	if err != nil {
		return control.Reload{}, err
	}
	var enough <-chan time.Time
	if !wait {
		enough = time.After(PrepareTime)
	}
	select {
	case result := <-w.Told():
		return result, nil
	case <-enough:
		return control.Reload{Result: control.Underway}, nil
	case <-a.options.Loop.Ended():
		select {
		case result := <-w.Told():
			return result, nil
		default:
			return control.Reload{}, loop.ErrEnded
		}
	case <-ctx.Done():
		a.options.Loop.Report(func() { a.options.Report.Reloads.Forget(w) })
		return control.Reload{}, ctx.Err()
	}
}

// Upgrade is the upgrade of SIGUSR2. It returns when the new version has agreed
// and is about to take over.
func (a *API) Upgrade(ctx context.Context) (u control.Upgrade, err error) {
	var agreed <-chan control.Upgrade
	err = a.options.Loop.Do(ctx, func() {
		a.options.Log.Info("asked", zap.String("for", "upgrade"))
		agreed = a.options.Upgrades.Wait()
		a.options.Upgrade()
	})
	if err != nil {
		return u, err
	}
	select {
	case u = <-agreed:
	case <-ctx.Done():
		return u, ctx.Err() // the channel has room for what it is told
	case <-a.options.Loop.Ended():
		return u, loop.ErrEnded
	}
	if u.Result == control.Refused {
		err = &control.Error{Status: http.StatusConflict, Message: "the upgrade was refused, and nothing was changed: " + u.Error}
	}
	return u, err
}
