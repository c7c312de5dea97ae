//go:build linux

package supervisor

import (
	"errors"
	"os"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
)

// errOutdated ends a preparation that does not count any more.
var errOutdated = errors.New("another reload has taken its place")

// beginPreparation has a goroutine prepare a reload of which the brain does not know
// yet: files are read, names looked up, addresses bound. The loop does what only it
// can do in between.
func (s *Supervisor) beginPreparation(p *reloads.Preparation) {
	inForce := s.revisions.current.config
	go func() {
		err := s.prepareAside(p, inForce)
		s.loop.Report(func() { s.endPreparation(p, err) })
	}()
}

// endPreparation deals with the end of one, which is the beginning of a reload if
// nothing is wrong.
func (s *Supervisor) endPreparation(p *reloads.Preparation, err error) {
	if err != nil && s.reloads.Counts(p) {
		s.log.Error("reload refused, nothing was changed", hint.Fields(err)...)
		s.books.ReloadEnded(admin.Refused)
		s.reloads.Refuse(hint.Text(err))
	}
	if next := s.reloads.Prepared(); next != nil {
		s.beginPreparation(next)
	}
}

// prepareAside is what the goroutine does.
func (s *Supervisor) prepareAside(p *reloads.Preparation, inForce *config.Config) error {
	c, warnings := inForce, []string(nil)
	if s.options.Reconfigure != nil {
		var err error
		if c, warnings, err = s.options.Reconfigure(); err != nil {
			return err
		}
	}
	r, err := resolve(c)
	if err == nil {
		err = checkLogs(c.Log)
	}
	if err != nil {
		return err
	}
	r.warnings = warnings
	if err := r.openTLS(); err != nil {
		return err
	}
	done := s.reloads.Turn()
	err = s.bindAside(p, r)
	done()
	if err != nil {
		r.closeTLS()
	}
	return err
}

// bindAside binds what the revision asks for and hands it over to the loop.
func (s *Supervisor) bindAside(p *reloads.Preparation, r *revision) error {
	for {
		b, err := (*binding)(nil), errOutdated
		s.loop.Report(func() {
			if s.reloads.Counts(p) {
				b, err = s.planBinding(r)
			}
		})
		if err == nil {
			err = b.bind(s.options.Environ)
		}
		if err != nil {
			return err
		}
		begun := false
		err = errOutdated
		s.loop.Report(func() {
			if s.reloads.Counts(p) {
				begun, err = s.beginReload(r, b)
			}
		})
		if begun {
			return nil
		}
		closeErr := b.close()
		if err = errors.Join(err, closeErr); err != nil {
			return err
		}
	}
}

// beginReload has the brain try the revision. It does not begin where a socket was
// closed meanwhile that the revision was to take over.
func (s *Supervisor) beginReload(r *revision, b *binding) (begun bool, err error) {
	if begun, err = b.take(s, r); !begun {
		return false, err
	}
	if n := s.fleet.TargetWith(r.workers); n != r.workers { // an operator has scaled it
		r.memory = r.config.Memory(os.DirFS("/"), n)
	}
	s.adopt(r)
	s.log.Info("reload started", zap.Int("revision", r.number), zap.Strings("changed", config.Diff(s.revisions.current.config, r.config)))
	s.warn(r)
	s.reloads.Start(r.number)
	s.step(fleet.Reload{Revision: r.number, Settings: r.settings()})
	return true, nil
}
