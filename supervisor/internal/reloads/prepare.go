//go:build linux

package reloads

import (
	"errors"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
)

// Options are what reloads need. All fields but Reconfigure are required.
type Options struct {
	Log     *zap.Logger
	Loop    *loop.Loop // by which goroutines reach the owner
	Environ []string
	// Reconfigure loads the configuration again, in several goroutines at a time; nil: it
	// stays what it is.
	Reconfigure func() (*config.Config, []string, error)
	// Ended enters the end of a reload under the name of its result.
	Ended func(result string)
	// What follows is called by the owner. InForce is the configuration that is in force,
	// and Plan what a revision has to bind beside what there is.
	InForce func() *config.Config
	Plan    func(*revision.Revision) (*revision.Binding, error)
	// Try has the brain try a revision, for which everything is bound. It does not begin
	// where a socket was closed meanwhile that the revision was to take over.
	Try func(*revision.Revision, *revision.Binding) (begun bool, err error)
}

// Attach says what the reloads work with.
func (r *Reloads) Attach(o Options) { r.options = o }

// errOutdated ends a preparation that does not count any more.
var errOutdated = errors.New("another reload has taken its place")

// Ask has the configuration be loaded and tried, in place of a reload that is being
// prepared. Whatever is wrong with it is logged, and nothing changes.
func (r *Reloads) Ask(who ...*Waiter) {
	p, superseded := r.Begin(who...)
	if superseded {
		r.options.Log.Info("reload superseded before it began")
	}
	if p != nil {
		r.prepare(p)
	}
}

// prepare has a goroutine prepare a reload of which the brain does not know yet: files are
// read, names looked up, addresses bound. The owner does what only it can do in between.
func (r *Reloads) prepare(p *Preparation) {
	inForce := r.options.InForce()
	go func() {
		err := r.prepareAside(p, inForce)
		r.options.Loop.Report(func() { r.endPreparation(p, err) })
	}()
}

// endPreparation deals with the end of one, which is the beginning of a reload if
// nothing is wrong.
func (r *Reloads) endPreparation(p *Preparation, err error) {
	if err != nil && r.counts(p) {
		r.options.Log.Error("reload refused, nothing was changed", hint.Fields(err)...)
		r.options.Ended(admin.Refused)
		r.Refuse(hint.Text(err))
	}
	if next := r.prepared(); next != nil {
		r.prepare(next)
	}
}

// prepareAside is what the goroutine does.
func (r *Reloads) prepareAside(p *Preparation, inForce *config.Config) error {
	c, warnings := inForce, []string(nil)
	if r.options.Reconfigure != nil {
		var err error
		if c, warnings, err = r.options.Reconfigure(); err != nil {
			return err
		}
	}
	next, err := revision.Prepare(c)
	if err != nil {
		return err
	}
	next.Warnings = warnings
	done := r.Turn()
	err = r.bindAside(p, next)
	done()
	if err != nil {
		next.CloseTLS()
	}
	return err
}

// bindAside binds what the revision asks for and hands it over to the owner.
func (r *Reloads) bindAside(p *Preparation, next *revision.Revision) error {
	for {
		b, err := (*revision.Binding)(nil), errOutdated
		r.options.Loop.Report(func() {
			if r.counts(p) {
				b, err = r.options.Plan(next)
			}
		})
		if err == nil {
			err = b.Try(r.options.Environ)
		}
		if err != nil {
			return err
		}
		begun := false
		err = errOutdated
		r.options.Loop.Report(func() {
			if r.counts(p) {
				begun, err = r.options.Try(next, b)
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
