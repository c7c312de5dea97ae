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

// inform tells the service manager what it does not know yet.
func (s *Supervisor) inform() {
	if s.manager == nil || s.store() != nil {
		return
	}
	now, is := time.Now(), manager.State{Phase: s.phase(), Reloads: s.reloads.Begun()}
	is.Status = s.summary(now, is.Phase).String()
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

// summary is what the service is doing, for people.
func (s *Supervisor) summary(now time.Time, phase manager.Phase) manager.Summary {
	sum := s.fleet.Summary(now)
	is := manager.Summary{Phase: phase, Target: sum.Target, Ready: sum.Ready, Alive: s.fleet.Alive()}
	_, is.Generation = s.fleet.Revision()
	if c := control.Condition(sum.Condition); c == control.FleetCrashLoop || c == control.FleetDegraded {
		is.Trouble = c.Words()
	}
	is.Wait = s.loaders.Wait(s.revisions.Current.Number, sum, now)
	if e := s.gaveUp(); e != nil && e.Worker != 0 {
		is.GaveUp = fmt.Sprintf("worker %d could not boot: %s", e.Worker, e.Status)
	} else if e != nil {
		is.GaveUp = "the application could not be loaded: " + e.Status
	}
	if last := s.reloads.Last(); last.Result == control.RolledBack {
		is.Reload = "rolled back: " + last.Error
		if s.reloads.Refused() {
			is.Reload = "refused: " + last.Error
		}
	}
	return is
}
