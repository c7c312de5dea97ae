//go:build linux

package supervisor

import (
	"errors"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// bindFirst opens the sockets of the first revision. Those that socket units of
// systemd passed win over bind. Those that a master before this one left in the
// descriptor store are as good as bound: with what waits in their queues they
// are taken where bind asks for the same address, and closed otherwise.
func (s *Supervisor) bindFirst(r *revision, quit <-chan struct{}) (*socket.Set, error) {
	activated, stored, err := socket.Inherit(s.options.Environ, r.socketOptions())
	if err != nil {
		return nil, err
	}
	opened := activated
	if activated == nil {
		addresses, err := r.addresses()
		if err != nil {
			return nil, err
		}
		options := r.socketOptions()
		options.Again = s.waitWhileTaken(quit)
		if opened, err = socket.Open(addresses, options, stored); err != nil {
			return nil, err
		}
	}
	s.activated, s.systemd.kept = activated, stored
	if stored == nil {
		return opened, nil
	}
	if err := stored.Forsake(opened); err != nil {
		s.log.Warn("cannot close what is not wanted of the descriptor store", zap.Error(err))
	}
	if err := opened.Claim(r.socketOptions()); err != nil {
		s.log.Warn("cannot change who may connect", zap.Error(err))
	}
	return opened, nil
}

// store has the service manager keep the sockets that the next master needs,
// should this one die, and no others. On a stop they are left to it: they are
// closed to new connections, and whoever starts next sees that.
func (s *Supervisor) store() error {
	d := &s.systemd
	if !d.keeps || s.fleet.Stopping() {
		return nil
	}
	wanted := make([]*socket.Set, 0, len(s.revisions))
	for _, r := range s.revisions {
		wanted = append(wanted, r.sockets)
	}
	var err error
	d.kept, err = d.kept.Sync(d.manager.Store, d.manager.Remove, wanted...)
	if err != nil && !errors.Is(err, notify.ErrBusy) {
		d.keeps = false
		s.log.Warn("the sockets would not outlive this master", zap.Error(err))
		return nil
	}
	return err
}
