//go:build linux

package supervisor

import (
	"errors"
	"time"

	"go.uber.org/zap"

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
	now, is := time.Now(), manager.State{Phase: s.report.Phase(), Reloads: s.reloads.Begun()}
	is.Status = s.report.Summary(now).String()
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
