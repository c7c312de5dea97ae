//go:build linux

package archive

import (
	"errors"
	"slices"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
)

// Options are what an archive needs. All fields are required.
type Options struct {
	Log  *zap.Logger
	Loop *loop.Loop
	// InForce is the configuration that says where files are to be, and whose they are.
	InForce func() *config.Config
}

// Archive is that of one master. It belongs to the owner of the loop, and is of use after
// [Archive.Attach].
type Archive struct {
	options Options              `state:"-"`
	waiting []incidents.Incident `state:"incidents_to_write"`
	writing []incidents.Incident `state:"incidents_being_written"`
	lost    int                  `state:"-"` // that waited for too long
	said    string               `state:"-"` // what did not work last
}

// Attach says what the archive works with.
func (a *Archive) Attach(o Options) { a.options = o }

// Resume goes on with what another image of this process had not written yet, or perhaps
// had.
func (a *Archive) Resume() {
	a.waiting, a.writing = slices.Concat(a.writing, a.waiting), nil
	a.send()
}

// Open has the folder made that is configured, if there is one, and says what is wrong
// with it.
func (a *Archive) Open() {
	a.options.Loop.Send(func() loop.Work {
		c := a.options.InForce()
		if c.Incidents.Dir == "" {
			return nil
		}
		return func() func() {
			err := check(c.Incidents.Dir)
			return func() { a.report(err) }
		}
	})
}

// Enter has an incident written, if a folder is configured.
func (a *Archive) Enter(one incidents.Incident) {
	if a.options.InForce().Incidents.Dir == "" {
		return
	}
	if len(a.waiting) >= incidents.Most {
		a.waiting = slices.Delete(a.waiting, 0, 1)
		a.lost++
	}
	a.waiting = append(a.waiting, one)
	a.send()
}

// send has what waits be written, one batch after the other.
func (a *Archive) send() {
	if len(a.writing) > 0 || len(a.waiting) == 0 {
		return
	}
	a.waiting, a.writing = nil, a.waiting
	a.options.Loop.Send(func() loop.Work {
		c, batch := a.options.InForce(), a.writing
		if c.Incidents.Dir == "" {
			a.writing = nil
			return nil
		}
		return func() func() {
			err := keep(c, batch)
			return func() {
				a.writing = nil
				a.report(err)
				a.send()
			}
		}
	})
}

// report says that something does not work, unless that was said already.
func (a *Archive) report(err error) {
	if a.lost > 0 {
		a.options.Log.Warn("incidents are not kept as files: the file system was too slow", zap.Int("incidents", a.lost))
		a.lost = 0
	}
	if err == nil {
		a.said = ""
		return
	}
	if err.Error() == a.said {
		return
	}
	a.said = err.Error()
	a.options.Log.Warn("cannot keep incidents as files", zap.Error(err))
}

// keep writes a batch into the folder of a configuration, and removes what is too much
// there.
func keep(c *config.Config, batch []incidents.Incident) error {
	f, err := open(c.Incidents.Dir)
	if err != nil {
		return err
	}
	defer f.close()
	var errs []error
	for _, one := range batch {
		errs = append(errs, f.write(nameOf(c.Name, one), textOf(c.Name, one)))
	}
	return errors.Join(append(errs, f.prune(c.Name, c.Incidents.Keep))...)
}
