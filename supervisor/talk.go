//go:build linux

package supervisor

import (
	"os"
	"runtime"
	"slices"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// greet says what starts.
func (s *Supervisor) greet() {
	r := s.revisions.current
	s.log.Info("starting",
		zap.String("name", r.config.Name), zap.String("version", s.options.Version), zap.String("go", runtime.Version()),
		zap.Int("pid", os.Getpid()), zap.Strings("bind", r.sockets.URLs()), zap.Int("workers", r.workers), zap.Strings("command", r.config.Command))
	r.warnings = s.options.Warnings
	s.warn(r)
}

// warn says what is doubtful about a configuration.
func (s *Supervisor) warn(r *revision) {
	for _, w := range r.warnings {
		s.log.Warn(w)
	}
	if r.auto != "" {
		s.log.Info("workers = "+r.config.Workers.String(), zap.Int("workers", r.workers), zap.String("why", r.auto))
	}
	if r.tight != "" {
		s.log.Warn(r.tight)
	}
	if r.memory.Why != "" {
		s.log.Info("max_worker_memory_hard = auto", zap.String("limit", limitText(r.memory.Hard)), zap.String("why", r.memory.Why))
	}
	if r.config.PlainServer() != "" { // others may turn out to speak the protocol
		s.warnPlain(r)
	}
	for _, w := range r.memory.Warnings {
		if r == s.revisions.current || !slices.Contains(s.revisions.current.memory.Warnings, w) { // a reload says what is new
			s.log.Warn(w)
		}
	}
}

// warnScaled says that more workers may take more memory than there is. Those that
// live keep the limit that they have: it would end workers that did nothing wrong.
func (s *Supervisor) warnScaled(a fleet.Rescale) {
	if a.To < a.From {
		return
	}
	if tight := s.revisions.current.config.Overlap(os.DirFS("/"), a.To, s.revisions.current.memory.Hard); tight != "" {
		s.log.Warn(tight)
	}
}

// limitText is a limit for people.
func limitText(limit config.Size) string {
	if limit == 0 {
		return "none"
	}
	return limit.String()
}

// warnBlind says once that plain workers count as ready because of their age
// alone.
func (s *Supervisor) warnBlind(w *worker) {
	if s.books.Once("blind") {
		s.log.Warn("cannot see whether workers wait for connections: a plain one counts as ready after 1s; let it say READY=1, or give ready a duration", w.fields()...)
	}
}

// warnPlain says once what the configuration asks for that a plain worker
// cannot do.
func (s *Supervisor) warnPlain(r *revision) {
	idle := r.config.Unheeded()
	if len(idle) == 0 || r.plain {
		return
	}
	r.plain = true
	s.log.Warn("settings have no effect on a worker that does not speak the worker protocol: use its own, or see gosuper help protocol",
		zap.Strings("settings", idle))
}
