//go:build linux

package supervisor

import (
	"os"
	"runtime"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// Run supervises until a signal ends it, and returns nil then; a *BootError if
// the first workers could not boot, an *Error if some did not even die of SIGKILL. It must be called on the main goroutine,
// locked to the main thread: that makes the processes, which die with it, and waits for
// the kernel meanwhile, where the loop does not.
func (s *Supervisor) Run() error {
	ended := make(chan error, 1)
	go func() { ended <- s.supervise() }()
	s.loop.ServeMain()
	return <-ended
}

// supervise is the loop.
func (s *Supervisor) supervise() error {
	defer s.signals.Stop()
	defer s.endpoints.Finish()
	defer s.loop.End()
	s.endpoints.Serve()
	if err := process.BecomeSubreaper(); err != nil {
		s.log.Warn("cannot adopt orphans", zap.Error(err))
	}
	if s.options.Inheritance == nil {
		s.leftovers.Meet(s.hands.guests())
		s.greet()
	}
	s.report.Meet(s.options.Environ)
	s.endpoints.OpenAdmin(s.revisions.Current.Admin, s.revisions.Current.Config)
	s.begin()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for !s.fleet.Halted() {
		s.upgrades.Continue()
		s.report.Inform(time.Now())
		wait(timer, s.deadline())
		select {
		case sig := <-s.signals.C:
			s.handle(sig)
		case m := <-s.signs.C:
			s.signs.Listen(m)
		case batch := <-s.development.Changes():
			s.development.Edited(batch)
		case do := <-s.loop.C:
			do()
		case do := <-s.loop.Main:
			do()
		case <-timer.C:
			s.tick()
		}
	}
	return s.end()
}

// wait sets the timer to the time, or stops it.
func wait(timer *time.Timer, next time.Time) {
	timer.Stop()
	if !next.IsZero() {
		timer.Reset(max(time.Until(next), 0))
	}
}

// deadline is when the loop has something to do of its own; zero: never.
func (s *Supervisor) deadline() time.Time {
	next, _ := s.fleet.Deadline()
	return loop.Soonest(next, s.sockets.Due(), s.development.Due(), s.upgrades.Due(), s.signs.Due(), s.limits.Due(), s.report.Due(), s.births.Loaders.Due(), s.leftovers.Groups.Due())
}

// tick is the passing of time. What already happened is heard first, so that
// nobody is blamed who has just answered.
func (s *Supervisor) tick() {
	s.reap()
	s.signs.ReadHeaders()
	s.sockets.LookAfter(time.Now())
	s.development.Expire(time.Now())
	s.signs.Look(time.Now())
	s.limits.Patrol(time.Now())
	s.births.Loaders.Blame(time.Now())
	s.step(fleet.Tick{})
	s.upgrades.Hurry(time.Now())
}

// greet says what starts.
func (s *Supervisor) greet() {
	r := s.revisions.Current
	s.log.Info("starting",
		zap.String("name", r.Config.Name), zap.String("version", s.options.Version), zap.String("go", runtime.Version()),
		zap.Int("pid", os.Getpid()), zap.Strings("bind", r.Binds()), zap.Int("workers", r.Workers), zap.Strings("command", r.Config.Command))
	r.Warnings = s.options.Warnings
	r.Warn(s.log.Logger, r)
	s.postmortems.Archive.Open()
}

// greetAgain says what goes on. Workers that only finish what they have are not
// counted with those that there are to be.
func (s *Supervisor) greetAgain(i *Inheritance) {
	fields := []zap.Field{
		zap.String("from", i.version), zap.String("version", s.options.Version),
		zap.Int("pid", os.Getpid()), zap.Strings("bind", s.revisions.Current.Binds()), zap.Int("workers", s.fleet.Target()),
	}
	draining := 0
	for w := range s.fleet.Workers() {
		if w.State == fleet.Draining || w.State.Ending() {
			draining++
		}
	}
	if draining > 0 {
		fields = append(fields, zap.Int("draining", draining))
	}
	s.log.Info("upgraded", fields...)
	if i.Torn() {
		s.log.Warn("output was given up for the upgrade: whoever reads it was too slow", zap.Int("bytes", i.outputLost), zap.Int("log_lines", i.logLost))
	}
}

// begin has the brain take its first step. After an upgrade it first hears what
// happened in the gap.
func (s *Supervisor) begin() {
	i := s.options.Inheritance
	if i == nil {
		s.step(fleet.Tick{})
		return
	}
	s.greetAgain(i)
	for _, r := range s.revisions.All {
		s.endpoints.OpenAdmin(r.Admin, r.Config) // all were in force once
	}
	s.endpoints.OpenAdmin(s.revisions.Current.Admin, s.revisions.Current.Config) // whose rights count where they share an address
	s.limits.Begin(time.Now())
	s.development.Watch(s.revisions.Current.Config, "cannot watch files")
	for _, m := range i.messages {
		s.signs.Hear(m)
	}
	for id := range s.fleet.Remaining() {
		if s.leftovers.Groups.PID(id) == 0 { // it had no process, and will have none
			s.note(fleet.Cleared{ID: id})
		}
	}
	s.step()
	s.tick()
	go s.hands.trim() // of what only the upgrade needed
	for _, sig := range i.signals {
		s.handle(sig)
	}
}
