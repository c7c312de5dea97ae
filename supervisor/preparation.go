//go:build linux

package supervisor

import (
	"errors"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// maxPreparations is how many preparations may be under way, of which only the
// newest counts: the others wait for a file server or a name server that has
// stopped answering. One more begins when one of them comes back.
const maxPreparations = 4

// turnTime is how long a preparation waits until another one has bound its addresses,
// which normally takes no longer than looking up a few names in vain. After it the
// other one is taken for one that will not come back.
const turnTime = 30 * time.Second

// A preparation is a reload of which the brain does not know yet: files are read,
// names looked up, addresses bound. Any of that may take long, or for ever, so a
// goroutine does it, and the loop does what only it can do in between.
type preparation struct{ waiting []*waiter }

// waiter is somebody who asked for a reload.
type waiter struct {
	end  bool                // of the whole reload, not only of its preparation
	told chan control.Reload // has room for what it is told
}

// preparations are those under way.
type preparations struct {
	newest *preparation // nil: none that counts
	alive  int
	more   bool          // the newest begins when there is room
	turn   chan struct{} // holds a token while one of them binds
}

// errOutdated ends a preparation that does not count any more.
var errOutdated = errors.New("another reload has taken its place")

// prepare begins to prepare a reload, in the place of one that is being prepared.
func (s *Supervisor) prepare(who ...*waiter) {
	p := &s.preparations
	next := &preparation{waiting: who}
	if p.newest != nil {
		s.log.Info("reload superseded before it began")
		next.waiting = slices.Concat(p.newest.waiting, who)
	}
	p.newest = next
	s.reloads.newest, s.reloads.last = 0, control.Reload{Result: control.Underway}
	if p.more = p.alive == maxPreparations; !p.more {
		s.beginPreparation(next)
	}
}

func (s *Supervisor) beginPreparation(p *preparation) {
	s.preparations.alive++
	inForce := s.current.config
	go func() {
		err := s.prepareAside(p, inForce)
		s.loop.Report(func() { s.endPreparation(p, err) })
	}()
}

// endPreparation deals with the end of one, which is the beginning of a reload if
// nothing is wrong.
func (s *Supervisor) endPreparation(p *preparation, err error) {
	all := &s.preparations
	all.alive--
	if err != nil && all.newest == p {
		all.newest = nil
		p.tell(s.refuse(err))
	}
	if all.more {
		all.more = false
		s.beginPreparation(all.newest)
	}
}

// abandonPreparation has the reload that is being prepared not begin.
func (s *Supervisor) abandonPreparation() {
	p := s.preparations.newest
	if p == nil {
		return
	}
	s.preparations.newest, s.preparations.more = nil, false
	s.reloads.last = control.Reload{Result: control.RolledBack, Error: "the master was told to stop before the reload was done"}
	p.tell(s.reloads.last)
}

// tell tells all who wait.
func (p *preparation) tell(r control.Reload) {
	for _, w := range p.waiting {
		w.told <- r
	}
}

// prepareAside is what the goroutine does.
func (s *Supervisor) prepareAside(p *preparation, inForce *config.Config) error {
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
	done := s.preparations.takeTurn()
	err = s.bindAside(p, r)
	done()
	if err != nil {
		r.closeTLS()
	}
	return err
}

// takeTurn waits until no other preparation binds, which would be in the way, but not
// for one that never comes back.
func (p *preparations) takeTurn() (done func()) {
	select {
	case p.turn <- struct{}{}:
		return func() { <-p.turn }
	case <-time.After(turnTime):
		return func() {}
	}
}

// bindAside binds what the revision asks for and hands it over to the loop.
func (s *Supervisor) bindAside(p *preparation, r *revision) error {
	for {
		b, err := (*binding)(nil), errOutdated
		s.loop.Report(func() {
			if s.preparations.newest == p {
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
			if s.preparations.newest == p {
				begun, err = s.beginReload(p, r, b)
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
func (s *Supervisor) beginReload(p *preparation, r *revision, b *binding) (begun bool, err error) {
	if begun, err = b.take(s, r); !begun {
		return false, err
	}
	s.preparations.newest = nil
	if n := s.fleet.TargetWith(r.workers); n != r.workers { // an operator has scaled it
		r.memory = r.config.Memory(os.DirFS("/"), n)
	}
	s.adopt(r)
	s.log.Info("reload started", zap.Int("revision", r.number), zap.Strings("changed", config.Diff(s.current.config, r.config)))
	s.warn(r)
	s.reloads.newest = r.number
	for _, w := range p.waiting {
		if w.end {
			s.reloads.waiting[r.number] = append(s.reloads.waiting[r.number], w.told)
		} else {
			w.told <- s.reloads.last
		}
	}
	s.step(fleet.Reload{Revision: r.number, Settings: r.settings()})
	return true, nil
}
