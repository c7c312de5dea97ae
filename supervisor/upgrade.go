//go:build linux

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// Program is how this program was started.
type Program struct {
	// Path is its file, absolute, with symlinks as they were: what they mean is
	// found out when a new version is wanted.
	Path string `json:"path"`
	// Args are its arguments, argv[0] included.
	Args []string `json:"args"`
}

// upgrades is how the last upgrade went, and who waits for the outcome of its
// trial.
type upgrades struct {
	last    control.Upgrade
	waiting []chan control.Upgrade
	next    func() // what it goes on with, see whenSettled; nil: it waits for nothing
	looking bool   // for the program
}

// tell tells those who wait how it went so far.
func (u *upgrades) tell() {
	for _, c := range u.waiting {
		c <- u.last
	}
	u.waiting = nil
}

// Upgrade is the upgrade of SIGUSR2. It returns when the new version has agreed
// and is about to take over, or with a *control.Error. Any goroutine but that of
// Run may call it.
func (s *Supervisor) Upgrade(ctx context.Context) (u control.Upgrade, err error) {
	agreed := make(chan control.Upgrade, 1)
	err = s.ask(ctx, func() {
		s.log.Info("asked", zap.String("for", "upgrade"))
		s.upgrades.waiting = append(s.upgrades.waiting, agreed)
		s.upgrade()
	})
	if err != nil {
		return u, err
	}
	select {
	case u = <-agreed:
	case <-ctx.Done():
		return u, ctx.Err() // the channel has room for what it is told
	case <-s.ended:
		return u, errEnded
	}
	if u.Result == control.Refused {
		err = &control.Error{Status: http.StatusConflict, Message: "the upgrade was refused, and nothing was changed: " + u.Error}
	}
	return u, err
}

// Upgraded is how the last upgrade went.
func (s *Supervisor) Upgraded(ctx context.Context) (u control.Upgrade, err error) {
	err = s.ask(ctx, func() { u = s.upgrades.last })
	return u, err
}

// upgradable says why there can be no upgrade now.
func (s *Supervisor) upgradable() error {
	switch {
	case s.options.Program.Path == "" || len(s.options.Program.Args) == 0:
		return errors.New("it is not known how gosuper was started")
	case s.fleet.Stopping():
		return errors.New("the master is stopping")
	case !s.up:
		return errors.New("the first workers are not ready yet")
	case s.reloading():
		return errors.New("a reload is under way")
	case s.errands.busy:
		return errors.New("a file of the master is still being opened")
	case s.development.pid != 0:
		return errors.New("a build is under way")
	}
	return nil
}

// whenSettled calls do as soon as every worker is its own program, which takes
// milliseconds: what a process becomes meanwhile, only this image would learn.
func (s *Supervisor) whenSettled(do func()) {
	s.upgrades.next = do
	s.settle()
}

// settle goes on with an upgrade that waits for that.
func (s *Supervisor) settle() {
	do := s.upgrades.next
	if do == nil {
		return
	}
	for _, w := range s.workers {
		if !w.executed && !w.gone {
			return
		}
	}
	s.upgrades.next = nil
	do()
}

// upgrade tries the program that is now where gosuper was started from, and
// goes on as that if it agrees.
func (s *Supervisor) upgrade() {
	if s.trial != nil || s.upgrades.next != nil || s.upgrades.looking {
		s.log.Info("upgrade ignored: one is under way")
		return
	}
	s.upgrades.last = control.Upgrade{Result: control.Underway, From: s.options.Version}
	if err := s.upgradable(); err != nil {
		s.refuseUpgrade(err, nil)
		return
	}
	s.upgrades.looking = true
	go func() {
		c, err := findProgram(s.options.Program.Path)
		s.askAnyway(func() {
			s.upgrades.looking = false
			if err != nil {
				s.refuseUpgrade(err, nil)
				return
			}
			s.whenSettled(func() {
				if err := s.beginTrial(c); err != nil {
					c.program.Close()
					s.refuseUpgrade(err, nil)
				}
			})
		})
	}()
}

// refuseUpgrade says why there is no upgrade, with the last lines of the version
// that refused.
func (s *Supervisor) refuseUpgrade(err error, lines []string) {
	s.log.Error("upgrade refused, nothing was changed", zap.Error(err), zap.Strings("last_lines", lines))
	s.upgrades.last.Result, s.upgrades.last.Error = control.Refused, strings.Join(append([]string{err.Error()}, lines...), "\n  ")
	s.upgrades.tell()
}

func (s *Supervisor) beginTrial(c candidate) error {
	if err := s.upgradable(); err != nil {
		return err
	}
	return s.standstill(func(all *saved) error {
		state, _, err := all.write()
		if err != nil {
			return err
		}
		defer unix.Close(state)
		t, err := s.hands.try(s, c, state)
		if err != nil {
			return fmt.Errorf("cannot try %s: %w", c.path, err)
		}
		t.until = time.Now().Add(trialTime)
		s.trial = t
		s.log.Info("upgrade: trying the new version", zap.String("path", c.path), zap.Int("pid", t.pid))
		return nil
	})
}

// standstill calls do with the state of the master while nothing else happens
// in this process. It may be that do never returns.
func (s *Supervisor) standstill(do func(*saved) error) error {
	said, err := s.pause()
	if err == nil {
		err = do(s.save(said))
	}
	s.resume()
	for _, m := range said {
		s.hear(m)
	}
	s.step()
	return err
}

// endTrial goes on as the new version, if it agreed.
func (s *Supervisor) endTrial(status process.Status) {
	t := s.trial
	t.pid, t.until = 0, time.Time{}
	s.trial = nil
	defer t.close()
	err := t.verdict(status)
	if err != nil {
		t.program.Close()
		s.refuseUpgrade(err, t.lines())
		return
	}
	if err := s.upgradable(); err != nil {
		t.program.Close()
		s.refuseUpgrade(err, nil)
		return
	}
	s.upgrades.tell()
	s.trial = t // nobody else is tried meanwhile
	s.closeDoors(func() {
		s.whenSettled(func() {
			s.trial = nil
			err := s.upgradable()
			if err == nil {
				err = s.replace(t)
			}
			t.program.Close()
			s.refuseUpgrade(err, nil) // else this is another program by now
			s.openDoors()
		})
	})
}

// replace has the new version take the place of this one. It returns only if
// that fails.
func (s *Supervisor) replace(t *trial) error {
	s.log.Info("upgrading", zap.String("path", t.path))
	if err := s.log.Sync(); err != nil {
		return err
	}
	var taken []syscall.Signal
	err := s.standstill(func(all *saved) error {
		// The new version closes what it finds there and does not know.
		program := int(t.program.Fd())
		state, descriptors, err := all.write(program)
		if err != nil {
			return err
		}
		defer unix.Close(state)
		if err := t.unchanged(); err != nil { // closing the doors took its time
			return err
		}
		err = s.hands.become(program, s.options.Program.Args, s.options.Environ, state, descriptors, func() []syscall.Signal {
			taken = s.pendingSignals()
			return taken
		})
		return fmt.Errorf("cannot go on as %s: %w", t.path, err)
	})
	s.deafen = s.hands.listen(s.signals)
	for _, sig := range taken {
		s.handle(sig)
	}
	return err
}
