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
	"github.com/gosuper/gosuper/supervisor/internal/revision"
)

// errOutdated ends a preparation that does not count any more.
var errOutdated = errors.New("another reload has taken its place")

// beginPreparation has a goroutine prepare a reload of which the brain does not know
// yet: files are read, names looked up, addresses bound. The loop does what only it
// can do in between.
func (s *Supervisor) beginPreparation(p *reloads.Preparation) {
	inForce := s.revisions.Current.Config
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
	r, err := revision.Prepare(c)
	if err != nil {
		return err
	}
	r.Warnings = warnings
	done := s.reloads.Turn()
	err = s.bindAside(p, r)
	done()
	if err != nil {
		r.CloseTLS()
	}
	return err
}

// bindAside binds what the revision asks for and hands it over to the loop.
func (s *Supervisor) bindAside(p *reloads.Preparation, r *revision.Revision) error {
	for {
		b, err := (*revision.Binding)(nil), errOutdated
		s.loop.Report(func() {
			if s.reloads.Counts(p) {
				b, err = s.planBinding(r)
			}
		})
		if err == nil {
			err = b.Try(s.options.Environ)
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
		closeErr := b.Close()
		if err = errors.Join(err, closeErr); err != nil {
			return err
		}
	}
}

// planBinding plans what a revision has to bind, beside what there is.
func (s *Supervisor) planBinding(r *revision.Revision) (*revision.Binding, error) {
	free := make(chan struct{})
	s.sockets.Do(func() {}, func() { close(free) })
	return r.Bind(revision.Held{
		Passed: s.sockets.Passed(), Sockets: append(s.revisions.Sockets(), s.sockets.Leaving()...), Admin: s.revisions.Admins(),
		PIDFile: s.files.PIDPath(), Control: s.endpoints.Controls(r.Config), Free: free,
	})
}

// beginReload has the brain try the revision. It does not begin where a socket was
// closed meanwhile that the revision was to take over.
func (s *Supervisor) beginReload(r *revision.Revision, b *revision.Binding) (begun bool, err error) {
	if r.Config.Log.AccessFile != "" { // whose file is opened when the revision is accepted
		if err := s.files.MakeAccess(); err != nil {
			return false, err
		}
	}
	if !b.Take() {
		return false, nil
	}
	r.Number = s.revisions.Last + 1
	if n := s.fleet.TargetWith(r.Settings()); n != r.Workers { // an operator has scaled it
		r.Memory = r.Config.Memory(os.DirFS("/"), n)
	}
	s.adopt(r)
	s.log.Info("reload started", zap.Int("revision", r.Number), zap.Strings("changed", config.Diff(s.revisions.Current.Config, r.Config)))
	r.Warn(s.log, s.revisions.Current)
	s.reloads.Start(r.Number)
	s.step(fleet.Reload{Revision: r.Number, Settings: r.Settings()})
	return true, nil
}
