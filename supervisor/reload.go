//go:build linux

package supervisor

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/develop"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
)

// reloads is what became of the reloads asked for, and who waits for it.
type reloads struct {
	last    control.Reload                `state:"last_reload"`
	begun   int                           `state:"-"`             // since this master began
	newest  int                           `state:"newest_reload"` // revision of the last that was asked for; 0: it was refused, or there was none
	waiting map[int][]chan control.Reload `state:"-"`
}

// prepareTime is how long somebody waits to hear whether the configuration is
// refused who does not want to wait for the reload.
const prepareTime = 5 * time.Second

// Reload is the reload of SIGHUP. It returns as soon as the configuration was
// refused or the first worker of it is on its way, or when that takes long; with
// wait it returns when the reload is over. Whoever waits for a reload that another one replaces gets
// the outcome of that one, which has read the same files later. Any goroutine
// but that of Run may call it.
func (s *Supervisor) Reload(ctx context.Context, wait bool) (control.Reload, error) {
	w := &waiter{end: wait, told: make(chan control.Reload, 1)}
	err := s.loop.Do(ctx, func() {
		s.log.Info("asked", zap.String("for", "reload"))
		s.reload(w)
	})
	if err != nil {
		return control.Reload{}, err
	}
	var enough <-chan time.Time
	if !wait {
		enough = time.After(prepareTime)
	}
	select {
	case result := <-w.told:
		return result, nil
	case <-enough:
		return control.Reload{Result: control.Underway}, nil
	case <-s.loop.Ended():
		select {
		case result := <-w.told:
			return result, nil
		default:
			return control.Reload{}, loop.ErrEnded
		}
	case <-ctx.Done():
		s.loop.Report(func() { s.forgetWaiter(w) })
		return control.Reload{}, ctx.Err()
	}
}

// reload loads the configuration and has the brain try it. Whatever is wrong with
// it is logged, and nothing changes.
func (s *Supervisor) reload(who ...*waiter) {
	if s.fleet.Stopping() {
		s.log.Info("reload ignored: stopping")
		for _, w := range who {
			w.told <- control.Reload{Result: control.RolledBack, Error: "the master is stopping"}
		}
		return
	}
	s.mend()
	s.reloads.begun++
	s.prepare(who...)
}

// developing are the options of what follows files.
func developing(o Options) develop.Options {
	return develop.Options{Log: o.Log, Describe: describe, Environ: o.Environ}
}

// project is what changes of files are followed for; nil: the master is stopping.
func (s *Supervisor) project() *develop.Project {
	if s.fleet.Stopping() {
		return nil
	}
	return &develop.Project{Config: s.current.config, Dir: s.current.resolved.Dir, Output: s.current.resolved.Path}
}

// developed follows what was edited, or built, with a reload if that is all there is
// to do.
func (s *Supervisor) developed(reload bool) {
	if s.development.Building() {
		s.leftovers.Shared = true // build tools leave servers of their own behind
	}
	if reload {
		s.reload()
	}
}

// reloading says whether a reload is under way.
func (s *Supervisor) reloading() bool { return s.preparations.newest != nil || s.fleet.Reloading() }

// refuse notes that a configuration was not even tried.
func (s *Supervisor) refuse(err error) control.Reload {
	s.log.Error("reload refused, nothing was changed", describe(err)...)
	s.books.ReloadEnded(admin.Refused)
	s.reloads.newest, s.reloads.last = 0, control.Reload{Result: control.RolledBack, Error: inWords(err)}
	return s.reloads.last
}

// endReload says how a reload ended, and why.
func (s *Supervisor) endReload(a fleet.EndReload) {
	result := control.Reload{Result: control.OK}
	switch a.Result {
	case fleet.Done:
		s.books.ReloadEnded(admin.Done)
		s.log.Info("reload done", zap.Int("revision", a.Revision))
	case fleet.Superseded:
		s.books.ReloadEnded(admin.Superseded)
		s.log.Info("reload superseded", zap.Int("revision", a.Revision))
		if !s.fleet.Stopping() {
			s.reloads.follow(a.Revision, s.last)
			return
		}
		result = control.Reload{Result: control.RolledBack, Error: "the master was told to stop before the reload was done"}
	case fleet.RolledBack:
		s.books.ReloadEnded(admin.RolledBack)
		e := s.endingOf(a.Culprit)
		s.log.Error("reload rolled back", zap.Int("revision", a.Revision), zap.Int("worker", a.Culprit),
			zap.String("status", e.Status), zap.Strings("last_lines", e.Lines))
		result = control.Reload{Result: control.RolledBack, Error: e.Of(a.Culprit)}
	}
	if s.reloads.newest == a.Revision {
		s.reloads.last = result
	}
	for _, over := range s.reloads.waiting[a.Revision] {
		over <- result
	}
	delete(s.reloads.waiting, a.Revision)
	go s.hands.trim() // of what only the reload needed
}

// follow has those who wait for one reload wait for another.
func (r *reloads) follow(from, to int) {
	if waiting := r.waiting[from]; from != to && len(waiting) > 0 {
		r.waiting[to] = append(r.waiting[to], waiting...)
		delete(r.waiting, from)
	}
}

// forgetWaiter lets one go who does not want to wait any longer.
func (s *Supervisor) forgetWaiter(w *waiter) {
	if p := s.preparations.newest; p != nil {
		p.waiting = slices.DeleteFunc(p.waiting, func(other *waiter) bool { return other == w })
	}
	for revision, waiting := range s.reloads.waiting {
		s.reloads.waiting[revision] = slices.DeleteFunc(waiting, func(c chan control.Reload) bool { return c == w.told })
		if len(s.reloads.waiting[revision]) == 0 {
			delete(s.reloads.waiting, revision)
		}
	}
}
