package supervisor

import (
	"os"
	"runtime"

	"go.uber.org/zap"
)

// greet says what starts.
func (s *Supervisor) greet() {
	r := s.current
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
		s.log.Info("workers = auto", zap.Int("workers", r.workers), zap.String("why", r.auto))
	}
}

// withoutBoards says once that workers cannot report by shared memory.
func (s *Supervisor) withoutBoards(err error) {
	if !s.boardless {
		s.boardless = true
		s.log.Warn("no shared memory: all workers are plain ones", zap.Error(err))
	}
}
