//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/upgrade"
)

// Program is how this program was started.
type Program struct {
	// Path is its file, absolute, with symlinks as they were: what they mean is
	// found out when a new version is wanted.
	Path string `json:"path"`
	// Args are its arguments, argv[0] included.
	Args []string `json:"args"`
}

// TrialFlag and TrialAnswer are how a new version is asked whether it could go on,
// and how it says yes.
const (
	TrialFlag   = upgrade.TrialFlag
	TrialAnswer = upgrade.TrialAnswer
)

// upgradable says why there can be no upgrade now.
func (s *Supervisor) upgradable() error {
	switch {
	case s.options.Program.Path == "" || len(s.options.Program.Args) == 0:
		return errors.New("it is not known how gosuper was started")
	case s.fleet.Stopping():
		return errors.New("the master is stopping")
	case !s.fleet.Up():
		return errors.New("the first workers are not ready yet")
	case s.report.Reloading():
		return errors.New("a reload is under way")
	case s.loop.Busy():
		return errors.New("a file of the master is still being opened")
	case s.development.Building():
		return errors.New("a build is under way")
	}
	return nil
}

// upgrade tries the program that is now where gosuper was started from, and
// goes on as that if it agrees.
func (s *Supervisor) upgrade() {
	if !s.upgrades.Start(s.options.Version) {
		s.log.Info("upgrade ignored: one is under way")
		return
	}
	s.beginPending()
}

// nextPhase goes on with an upgrade, as soon as that can be.
func (s *Supervisor) nextPhase() {
	s.upgrades.Next()
	s.beginPending()
}

// beginPending begins the phase of an upgrade that has waited for the workers.
func (s *Supervisor) beginPending() {
	phase := s.upgrades.Pending()
	if phase == upgrade.None {
		return
	}
	if phase.AfterExec() && !s.settled() {
		return
	}
	s.upgrades.Begin()
	if err := s.upgradable(); err != nil {
		s.refuseUpgrade(err, nil)
		return
	}
	s.beginPhase(phase)
}

// settled says whether nothing is being made that would be lost with this image.
func (s *Supervisor) settled() bool {
	if s.sockets.Busy() || s.loop.MainBusy() {
		return false
	}
	for w := range s.roster.All() {
		if !w.Executed && !w.Gone {
			return false
		}
	}
	return s.loaders.Ready()
}

// beginPhase does what there is to do in a phase, or has it done; nextPhase is called
// when it is over.
func (s *Supervisor) beginPhase(phase upgrade.Phase) {
	switch phase {
	case upgrade.Finding:
		go func() {
			c, err := upgrade.Find(s.options.Program.Path)
			s.loop.Report(func() {
				if err != nil {
					s.refuseUpgrade(err, nil)
					return
				}
				s.upgrades.Candidate = c
				s.nextPhase()
			})
		}()
	case upgrade.Trying:
		s.beginTrial()
	case upgrade.Closing:
		s.log.Info("upgrading", zap.String("path", s.upgrades.Candidate.Path))
		s.upgrades.Tell()
		paused := s.endpoints.Pause()
		go func() {
			<-paused
			s.loop.Report(s.nextPhase)
		}()
	case upgrade.Replacing:
		s.replace()
	}
}

// refuseUpgrade says why there is no upgrade, with the last lines of the version
// that refused.
func (s *Supervisor) refuseUpgrade(err error, lines []string) {
	s.log.Error("upgrade refused, nothing was changed", zap.Error(err), zap.Strings("last_lines", lines))
	if s.upgrades.Refuse(err, lines) == upgrade.Replacing {
		s.endpoints.Unpause()
	}
}

// beginTrial has the new version say whether it could go on with the state as it is.
func (s *Supervisor) beginTrial() {
	var state int
	s.standstill(func() error { return nil }, func(all *saved) (err error) {
		state, _, err = all.write()
		return err
	}, func(err error) {
		if err != nil {
			s.refuseUpgrade(err, nil)
			return
		}
		s.tryState(state)
	})
}

// tryState has the new version read the state, which is closed then.
func (s *Supervisor) tryState(state int) {
	candidate := s.upgrades.Candidate
	var t *upgrade.Trial
	s.makeOther(func() (pid int, err error) {
		defer unix.Close(state)
		if t, err = s.hands.try(candidate, s.options.Program.Args, s.options.Environ, state); err != nil {
			return 0, err
		}
		return t.PID, nil
	}, func(pid int, err error) {
		if err != nil {
			s.refuseUpgrade(err, nil)
			return
		}
		s.upgrades.Trial = t
		s.log.Info("upgrade: trying the new version", zap.String("path", t.Path), zap.Int("pid", pid))
	}, s.endTrial)
}

// hurryTrial ends a trial that takes too long.
func (s *Supervisor) hurryTrial(now time.Time) {
	if err := s.upgrades.Trial.Hurry(now); err != nil {
		s.log.Error("a trial goes on", zap.Error(err))
	}
}

// endTrial goes on as the new version, if it agreed and is what it was.
func (s *Supervisor) endTrial(status process.Status) {
	if lines, err := s.upgrades.Trial.End(status); err != nil {
		s.refuseUpgrade(err, lines)
		return
	}
	candidate := s.upgrades.Candidate
	go func() {
		err := candidate.Unchanged()
		s.loop.Report(func() {
			if err != nil {
				s.refuseUpgrade(err, nil)
				return
			}
			s.nextPhase()
		})
	}()
}

// replace has the new version take the place of this one, which goes on only if that
// fails.
func (s *Supervisor) replace() {
	c := s.upgrades.Candidate
	slow := false
	var taken []syscall.Signal
	s.standstill(func() error {
		slow = s.log.Sync() != nil
		return c.Unchanged() // the pause took its time
	}, func(all *saved) error {
		if s.options.Logs != nil {
			all.logLost = s.options.Logs.Waiting()
		}
		if !slow && all.logLost > 0 {
			return errUnsettled // there were lines in the log since
		}
		// The new version closes what it finds there and does not know.
		program := int(c.Program.Fd())
		state, descriptors, err := all.write(program)
		if err != nil {
			return err
		}
		defer unix.Close(state)
		s.loop.OnMain(func() {
			err = s.hands.become(program, s.options.Program.Args, s.options.Environ, state, descriptors, func() []syscall.Signal {
				taken = s.signals.Pending()
				return taken
			})
		})
		return fmt.Errorf("cannot go on as %s: %w", c.Path, err)
	}, func(err error) {
		s.listen()
		for _, sig := range taken {
			s.handle(sig)
		}
		s.refuseUpgrade(err, nil)
	})
}
