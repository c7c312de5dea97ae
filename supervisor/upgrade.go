//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/standstill"
	"github.com/gosuper/gosuper/supervisor/internal/upgrade"
)

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

// idle says whether nothing is being made that would be lost with this image.
func (s *Supervisor) idle() bool {
	if s.sockets.Busy() || s.loop.MainBusy() || s.log.Busy() {
		return false
	}
	for w := range s.roster.All() {
		if !w.Executed && !w.Gone {
			return false
		}
	}
	return s.births.Loaders.Ready()
}

// errBusy says that too much happened while a standstill came about.
var errBusy = errors.New("something happened meanwhile")

// standstill has the loop call do with the state of the master while nothing else happens
// in this process, after another goroutine has called aside. Until then the loop goes on:
// if too much happens meanwhile, or do says so by errBusy, the phase of the upgrade
// begins once more. It may be that do never returns. What came of it is told to over.
func (s *Supervisor) standstill(aside func() error, do func(*saved) error, over func(error)) {
	all := standstill.Begin(standstill.Options{
		Roster: s.roster, Loaders: &s.births.Loaders, Files: s.files, Idle: s.leftovers.Killed, Serve: s.signs.Serve,
	})
	go func() {
		err := all.Wait()
		if err == nil {
			err = aside()
		}
		s.loop.Report(func() {
			if err == nil {
				err = s.upgradable()
			}
			if err == nil && !(s.idle() && all.Covers()) {
				err = errBusy
			}
			if err == nil {
				err = do(s.save())
			}
			all.Resume()
			if errors.Is(err, errBusy) {
				s.upgrades.Postpone()
				return
			}
			over(err)
		})
	}()
}

// beginTrial has the new version say whether it could go on with the state as it is.
func (s *Supervisor) beginTrial(c *upgrade.Candidate, told func(*upgrade.Trial, error)) {
	var state int
	s.standstill(func() error { return nil }, func(all *saved) (err error) {
		state, _, err = all.write()
		return err
	}, func(err error) {
		if err != nil {
			told(nil, err)
			return
		}
		s.tryState(c, state, told)
	})
}

// tryState has the new version read the state, which is closed then.
func (s *Supervisor) tryState(c *upgrade.Candidate, state int, told func(*upgrade.Trial, error)) {
	var t *upgrade.Trial
	s.births.Make(func() (pid int, err error) {
		defer unix.Close(state)
		if t, err = s.hands.try(c, s.options.Program.Args, s.options.Environ, state); err != nil {
			return 0, err
		}
		return t.PID, nil
	}, func(_ int, err error) { told(t, err) }, s.upgrades.Ended)
}

// replace has the new version take the place of this one, which goes on only if that
// fails.
func (s *Supervisor) replace(c *upgrade.Candidate, failed func(error)) {
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
			return errBusy // there were lines in the log since
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
		failed(err)
	})
}
