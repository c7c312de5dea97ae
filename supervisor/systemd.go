//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/manager"
)

// meetManager finds the service manager. The master runs without one, too.
func (s *Supervisor) meetManager() {
	m, err := manager.Find(s.options.Environ)
	if err != nil {
		s.log.Warn("nobody is told when the workers are ready", zap.Error(err))
	}
	s.manager = m
}

// inform tells the service manager what it does not know yet.
func (s *Supervisor) inform() {
	if s.manager == nil || s.store() != nil {
		return
	}
	now, is := time.Now(), manager.State{Phase: s.phase(), Reloads: s.reloads.Begun()}
	is.Status = s.summary(now, is.Phase)
	if !s.reloads.Preparing() {
		is.Until = s.fleet.Horizon()
		if is.Until.Before(now) {
			is.Until = now
		}
	}
	if err := s.manager.Tell(now, is); err != nil {
		s.log.Warn("cannot tell the service manager", zap.Error(err))
	}
}

// store has the service manager keep the sockets that the next master needs,
// should this one die, and no others. On a stop they are left to it: they are
// closed to new connections, and whoever starts next sees that. The error is that
// the service manager is busy.
func (s *Supervisor) store() error {
	if !s.manager.Keeps() || s.fleet.Stopping() {
		return nil
	}
	err := s.sockets.Sync(s.manager.Store, s.manager.Remove, s.revisions.Sockets()...)
	if err != nil && !errors.Is(err, manager.ErrBusy) {
		s.log.Warn("the sockets would not outlive this master", zap.Error(err))
		return nil
	}
	return err
}

// phase is what the service is doing.
func (s *Supervisor) phase() manager.Phase {
	switch {
	case s.fleet.Stopping():
		return manager.Stopping
	case !s.fleet.Up():
		return manager.Starting
	case s.reloading():
		return manager.Reloading
	}
	return manager.Running
}

// summary says in one line what the service is doing.
func (s *Supervisor) summary(now time.Time, phase manager.Phase) string {
	sum := s.fleet.Summary(now)
	workers := workersOf(sum.Target) + " ready"
	if sum.Ready != sum.Target {
		workers = fmt.Sprintf("%d of %s", sum.Ready, workers)
	}
	_, generation := s.fleet.Revision()
	workers += fmt.Sprintf(", generation %d", generation)
	if c := control.Condition(sum.Condition); c == control.FleetCrashLoop || c == control.FleetDegraded {
		workers = c.Words() + ": " + workers
	} else if phase == manager.Starting {
		return "starting: " + workers
	}
	switch phase {
	case manager.Reloading:
		return "reloading: " + workers
	case manager.Stopping:
		if culprit := s.fleet.Culprit(); culprit != 0 {
			return fmt.Sprintf("gave up: worker %d could not boot: %s", culprit, s.endingOf(culprit).Status)
		}
		if s.fleet.LoaderFailed() {
			return "gave up: the application could not be loaded: " + s.loaderEnding(s.revisions.Current.Number).Status
		}
		return "stopping: " + workersOf(s.fleet.Alive()) + " left"
	}
	if last := s.reloads.Last(); last.Result == control.RolledBack {
		how := "rolled back"
		if s.reloads.Refused() {
			how = "refused"
		}
		return fmt.Sprintf("%s; reload %s: %s", workers, how, last.Error)
	}
	return workers
}

func workersOf(n int) string {
	if n == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", n)
}
