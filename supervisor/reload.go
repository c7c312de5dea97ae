package supervisor

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// reloads is what became of the reloads asked for, and who waits for it.
type reloads struct {
	last    control.Reload
	newest  int // revision of the last that was asked for; 0: it was refused, or there was none
	waiting map[int][]chan control.Reload
	ended   map[string]uint64 // how many ended so, with names of the metric
}

// Reload is the reload of SIGHUP. It returns as soon as the configuration was
// refused or the first worker of it is on its way; with wait it returns when
// the reload is over. Whoever waits for a reload that another one replaces gets
// the outcome of that one, which has read the same files later. Any goroutine
// but that of Run may call it.
func (s *Supervisor) Reload(ctx context.Context, wait bool) (control.Reload, error) {
	var result control.Reload
	var over chan control.Reload
	var revision int
	err := s.ask(ctx, func() {
		s.log.Info("asked", zap.String("for", "reload"))
		result = s.reload()
		if wait && result.Result == control.Underway {
			over, revision = make(chan control.Reload, 1), s.reloads.newest
			s.reloads.waiting[revision] = append(s.reloads.waiting[revision], over)
		}
	})
	if err != nil || over == nil {
		return result, err
	}
	select {
	case result = <-over:
		return result, nil
	case <-s.ended:
		select {
		case result = <-over:
			return result, nil
		default:
			return result, errEnded
		}
	case <-ctx.Done():
		s.ask(context.WithoutCancel(ctx), func() { s.reloads.forget(over) }) // else the master has ended
		return result, ctx.Err()
	}
}

// reload loads the configuration and asks the brain to try it. Whatever is
// wrong with it is logged, and nothing changes.
func (s *Supervisor) reload() control.Reload {
	if s.fleet.Stopping() {
		s.log.Info("reload ignored: stopping")
		return control.Reload{Result: control.RolledBack, Error: "the master is stopping"}
	}
	defer s.beginReload()()
	c, warnings := s.current.config, []string(nil)
	if s.options.Reconfigure != nil {
		var err error
		if c, warnings, err = s.options.Reconfigure(); err != nil {
			return s.refuse(err, zap.Error(err))
		}
	}
	r, err := s.prepare(c, warnings)
	if err != nil {
		return s.refuse(err, describe(err)...)
	}
	s.adopt(r)
	s.log.Info("reload started", zap.Int("revision", r.number), zap.Strings("changed", config.Diff(s.current.config, c)))
	s.warn(r)
	s.reloads.newest, s.reloads.last = r.number, control.Reload{Result: control.Underway}
	s.step(fleet.Reload{Revision: r.number, Settings: r.settings()})
	return s.reloads.last
}

// refuse notes that a configuration was not even tried.
func (s *Supervisor) refuse(err error, fields ...zap.Field) control.Reload {
	s.log.Error("reload refused, nothing was changed", fields...)
	s.reloads.ended[admin.Refused]++
	s.reloads.newest, s.reloads.last = 0, control.Reload{Result: control.RolledBack, Error: inWords(err)}
	return s.reloads.last
}

// endReload says how a reload ended, and why.
func (s *Supervisor) endReload(a fleet.EndReload) {
	result := control.Reload{Result: control.OK}
	switch a.Result {
	case fleet.Done:
		s.reloads.ended[admin.Done]++
		s.log.Info("reload done", zap.Int("revision", a.Revision))
	case fleet.Superseded:
		s.reloads.ended[admin.Superseded]++
		s.log.Info("reload superseded", zap.Int("revision", a.Revision))
		if !s.fleet.Stopping() {
			s.reloads.follow(a.Revision, s.last)
			return
		}
		result = control.Reload{Result: control.RolledBack, Error: "the master was told to stop before the reload was done"}
	case fleet.RolledBack:
		s.reloads.ended[admin.RolledBack]++
		e := s.epitaph(a.Culprit)
		s.log.Error("reload rolled back", zap.Int("revision", a.Revision), zap.Int("worker", a.Culprit),
			zap.String("status", e.status), zap.Strings("last_lines", e.lines))
		result = control.Reload{Result: control.RolledBack, Error: e.of(a.Culprit)}
	}
	if s.reloads.newest == a.Revision {
		s.reloads.last = result
	}
	for _, over := range s.reloads.waiting[a.Revision] {
		over <- result
	}
	delete(s.reloads.waiting, a.Revision)
}

// follow has those who wait for one reload wait for another.
func (r *reloads) follow(from, to int) {
	if waiting := r.waiting[from]; from != to && len(waiting) > 0 {
		r.waiting[to] = append(r.waiting[to], waiting...)
		delete(r.waiting, from)
	}
}

// forget lets one go who does not want to wait any longer.
func (r *reloads) forget(over chan control.Reload) {
	for revision, waiting := range r.waiting {
		r.waiting[revision] = slices.DeleteFunc(waiting, func(c chan control.Reload) bool { return c == over })
		if len(r.waiting[revision]) == 0 {
			delete(r.waiting, revision)
		}
	}
}
