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

// What follows is asked of the master by people and programs, from any
// goroutine but that of Run. An error that is a *control.Error says what is
// wrong with the wish; any other means that the master has ended.

// ScaleTo changes the number of workers.
func (s *Supervisor) ScaleTo(ctx context.Context, n int) (control.Scaled, error) {
	return s.scale(ctx, func(int) int { return n })
}

// ScaleBy adds workers, or takes some away. Less than one is one.
func (s *Supervisor) ScaleBy(ctx context.Context, n int) (control.Scaled, error) {
	return s.scale(ctx, func(now int) int { return max(now+n, 1) })
}

func (s *Supervisor) scale(ctx context.Context, to func(now int) int) (result control.Scaled, refused error) {
	err := s.ask(ctx, func() {
		result.From = s.fleet.Target()
		result.To = to(result.From)
		switch {
		case s.fleet.Stopping():
			refused = errStopping()
		case result.To < 1 || result.To > config.MaxWorkers:
			refused = &control.Error{
				Status:  http.StatusBadRequest,
				Message: fmt.Sprintf("workers must be a number from 1 to %d, not %d", config.MaxWorkers, result.To),
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

// Recycle has these workers replaced gracefully, all or, if one of them does
// not exist, none.
func (s *Supervisor) Recycle(ctx context.Context, ids []int) (control.Recycled, error) {
	return s.recycle(ctx, func() ([]int, error) {
		for _, id := range ids {
			if s.workers[id] == nil {
				return nil, &control.Error{
					Status: http.StatusNotFound, Message: fmt.Sprintf("there is no worker %d", id),
					Hint: "ids are the first column of gosuper status; a replacement has another id",
				}
			}
		}
		return ids, nil
	})
}

// RecycleAll has all workers replaced gracefully.
func (s *Supervisor) RecycleAll(ctx context.Context) (control.Recycled, error) {
	return s.recycle(ctx, func() (ids []int, err error) {
		for _, w := range s.fleet.Workers() {
			ids = append(ids, w.ID)
		}
		return ids, nil
	})
}

func (s *Supervisor) recycle(ctx context.Context, which func() ([]int, error)) (result control.Recycled, refused error) {
	err := s.ask(ctx, func() {
		if s.fleet.Stopping() {
			refused = errStopping()
			return
		}
		if result.Workers, refused = which(); refused != nil {
			return
		}
		s.log.Info("asked", zap.String("for", "recycle"), zap.Ints("workers", result.Workers))
		for _, id := range result.Workers {
			s.step(fleet.Recycle{ID: id, Reason: fleet.ReasonRecycle})
		}
	})
	if err != nil {
		return result, err
	}
	return result, refused
}

// Stop is the stop of SIGTERM, with quick that of SIGQUIT. It does not wait for
// the end.
func (s *Supervisor) Stop(ctx context.Context, quick bool) error {
	return s.ask(ctx, func() {
		s.log.Info("asked", zap.String("for", "stop"), zap.Bool("quick", quick))
		s.stop(quick)
	})
}

func errStopping() error {
	return &control.Error{Status: http.StatusConflict, Message: "the master is stopping"}
}
