//go:build linux

package supervisor

import (
	"context"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

var _ control.Master = (*Supervisor)(nil)

// What follows is asked of the master by people and programs, from any
// goroutine but that of Run. An error that is a *control.Error says what is
// wrong with the wish; any other means that the master has ended.

// Scale changes the number of workers.
func (s *Supervisor) Scale(ctx context.Context, by control.Scaling) (control.Scaled, error) {
	var result control.Scaled
	var refused error
	err := s.loop.Do(ctx, func() {
		result.From = s.fleet.Target()
		switch {
		case by.Workers != nil:
			result.To = *by.Workers
		case by.By != nil:
			result.To = max(result.From+min(*by.By, config.MaxWorkers), 1)
		}
		switch {
		case s.fleet.Stopping():
			refused = errStopping()
		case result.To < 1 || result.To > config.MaxWorkers:
			refused = &control.Error{
				Status:  http.StatusBadRequest,
				Message: fmt.Sprintf("workers must be a number from 1 to %d, not %d", config.MaxWorkers, result.To),
			}
		case s.fleet.Bounded(result.To) < result.To:
			refused = &control.Error{
				Status:  http.StatusConflict,
				Message: fmt.Sprintf("there are leases for %d workers, not %d: list more in [resources] and reload", s.fleet.Bounded(result.To), result.To),
			}
		default:
			s.log.Info("asked", zap.String("for", "scale"), zap.Int("workers", result.To))
			s.step(fleet.ScaleBy{N: result.To - result.From})
		}
	})
	if err != nil {
		return result, err
	}
	return result, refused
}

// Recycle has workers replaced gracefully: all that are wanted or, if one of
// them does not exist, none.
func (s *Supervisor) Recycle(ctx context.Context, which control.Recycling) (control.Recycled, error) {
	var ids []int
	var refused error
	err := s.loop.Do(ctx, func() {
		if s.fleet.Stopping() {
			refused = errStopping()
			return
		}
		if ids, refused = s.named(which); refused != nil {
			return
		}
		s.log.Info("asked", zap.String("for", "recycle"), zap.Ints("workers", ids))
		orders := make([]fleet.Event, len(ids))
		for i, id := range ids {
			orders[i] = fleet.Recycle{ID: id, Reason: fleet.ReasonRecycle}
		}
		s.step(orders...)
	})
	if err != nil {
		return control.Recycled{}, err
	}
	return control.Recycled{Workers: ids}, refused
}

// named are the ids of the workers that are meant.
func (s *Supervisor) named(which control.Recycling) ([]int, error) {
	if !which.All {
		for _, id := range which.Workers {
			if s.roster.Of(id) == nil {
				return nil, &control.Error{
					Status: http.StatusNotFound, Message: fmt.Sprintf("there is no worker %d", id),
					Hint: "gosuper status shows the ids; a replacement has another one",
				}
			}
		}
		return which.Workers, nil
	}
	ids := []int{}
	for w := range s.fleet.Workers() {
		ids = append(ids, w.ID)
	}
	return ids, nil
}

// Stop is the stop of SIGTERM, with quick that of SIGQUIT. It does not wait for
// the end, see Ended.
func (s *Supervisor) Stop(ctx context.Context, quick bool) error {
	return s.loop.Do(ctx, func() {
		s.log.Info("asked", zap.String("for", "stop"), zap.Bool("quick", quick))
		s.stop(quick)
	})
}

// Ended is closed when Run has given back all that the master held.
func (s *Supervisor) Ended() <-chan struct{} { return s.loop.Ended() }

func errStopping() error {
	return &control.Error{Status: http.StatusConflict, Message: "the master is stopping"}
}
