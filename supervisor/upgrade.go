package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/handover"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

const (
	// trialTime is what a new version gets to say that it could go on.
	trialTime = 10 * time.Second
	// TrialFlag is the flag by which a new version is asked that, with the
	// descriptor of the state. A program that does not know it refuses.
	TrialFlag = "upgrade-trial"
	// TrialAnswer is the line by which it says yes.
	TrialAnswer = "gosuper: ready to take over"
)

// trialState is the descriptor at which a new version finds the state.
const trialState = 3

// Program is how this program was started.
type Program struct {
	// Path is its file, absolute, with symlinks as they were: what they mean is
	// found out when a new version is wanted.
	Path string `json:"path"`
	// Args are its arguments, argv[0] included.
	Args []string `json:"args"`
}

// trial is a new version that is being tried.
type trial struct {
	pid    int
	path   string
	file   imprint
	until  time.Time // when it is given up; zero: it was
	late   bool
	answer *process.Tail
	words  *process.Tail
}

func (t *trial) is(pid int) bool { return t != nil && t.pid == pid }

// due is when something is to be done about the trial; zero: never.
func (t *trial) due() time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.until
}

// upgrades is how the last upgrade went, and who waits for the outcome of its
// trial.
type upgrades struct {
	last    control.Upgrade
	waiting []chan control.Upgrade
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
	case s.fleet.Reloading():
		return errors.New("a reload is under way")
	case s.development.pid != 0:
		return errors.New("a build is under way")
	}
	for _, w := range s.workers {
		if !w.executed {
			return fmt.Errorf("worker %d is just being started", w.ID)
		}
	}
	return nil
}

// upgrade tries the program that is now where gosuper was started from, and
// goes on as that if it agrees.
func (s *Supervisor) upgrade() {
	if s.trial != nil {
		s.log.Info("upgrade ignored: one is under way")
		return
	}
	s.upgrades.last = control.Upgrade{Result: control.Underway, From: s.options.Version}
	if err := s.beginTrial(); err != nil {
		s.refuseUpgrade(err, nil)
	}
}

// refuseUpgrade says why there is no upgrade, with the last lines of the version
// that refused.
func (s *Supervisor) refuseUpgrade(err error, lines []string) {
	s.log.Error("upgrade refused, nothing was changed", zap.Error(err), zap.Strings("last_lines", lines))
	s.upgrades.last.Result, s.upgrades.last.Error = control.Refused, strings.Join(append([]string{err.Error()}, lines...), "\n  ")
	s.upgrades.tell()
}

func (s *Supervisor) beginTrial() error {
	if err := s.upgradable(); err != nil {
		return err
	}
	path, file, err := findProgram(s.options.Program.Path)
	if err != nil {
		return err
	}
	return s.standstill(func(e estate) error {
		state, err := handover.Write(e, e.descriptors())
		if err != nil {
			return err
		}
		defer unix.Close(state)
		t, err := s.hands.try(s, path, state)
		if err != nil {
			return fmt.Errorf("cannot try %s: %w", path, err)
		}
		t.path, t.file, t.until = path, file, time.Now().Add(trialTime)
		s.trial = t
		s.log.Info("upgrade: trying the new version", zap.String("path", path), zap.Int("pid", t.pid))
		return nil
	})
}

// findProgram returns the file that is behind the path now.
func findProgram(path string) (string, imprint, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", imprint{}, fmt.Errorf("cannot find the program gosuper was started from: %w", err)
	}
	info, err := os.Stat(resolved)
	switch {
	case err != nil:
		return "", imprint{}, fmt.Errorf("cannot look at the program gosuper was started from: %w", err)
	case !info.Mode().IsRegular():
		return "", imprint{}, fmt.Errorf("%s is not a file", resolved)
	case info.Mode()&0o111 == 0:
		return "", imprint{}, fmt.Errorf("%s is not executable", resolved)
	}
	file, err := imprintOf(resolved)
	return resolved, file, err
}

// standstill calls do with the state of the master while nothing else happens
// in this process. It may be that do never returns.
func (s *Supervisor) standstill(do func(estate) error) error {
	said, err := s.pause()
	if err == nil {
		err = do(s.bequeath(said))
	}
	s.resume()
	for _, m := range said {
		s.hear(m)
	}
	return err
}

// try starts a new version that is to say whether it could go on.
func try(s *Supervisor, path string, state int) (t *trial, err error) {
	t = &trial{}
	if t.answer, err = process.NewTail(io.Discard); err != nil {
		return nil, err
	}
	defer t.answer.CloseWriteEnd()
	if t.words, err = process.NewTail(io.Discard); err != nil {
		t.answer.Close()
		return nil, err
	}
	defer t.words.CloseWriteEnd()
	args := s.options.Program.Args
	t.pid, err = process.Start(process.Spec{
		Path: path, Env: s.options.Environ,
		Argv:  slices.Insert(slices.Clone(args), 1, fmt.Sprintf("--%s=%d", TrialFlag, trialState)),
		Files: []int{process.Null, t.answer.WriteEnd(), t.words.WriteEnd(), state},
	})
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *trial) close() {
	t.answer.Close()
	t.words.Close()
}

// hurryTrial ends a trial that takes too long.
func (s *Supervisor) hurryTrial(now time.Time) {
	t := s.trial
	if t == nil || t.until.IsZero() || t.until.After(now) {
		return
	}
	t.late, t.until = true, time.Time{}
	if err := process.KillGroup(t.pid); err != nil {
		s.log.Error("cannot end the new version", zap.Error(err))
	}
}

// endTrial goes on as the new version, if it agreed.
func (s *Supervisor) endTrial(status process.Status) {
	t := s.trial
	t.pid, t.until = 0, time.Time{}
	s.trial = nil
	t.answer.Settle(settleTime)
	t.words.Settle(settleTime)
	defer t.close()
	err := t.verdict(status)
	if err != nil {
		s.refuseUpgrade(err, t.words.Lines(lastLines))
		return
	}
	if err := s.upgradable(); err != nil {
		s.refuseUpgrade(err, nil)
		return
	}
	s.upgrades.tell()
	s.trial = t // nobody else is tried meanwhile
	s.closeDoors(func() {
		s.trial = nil
		err := s.upgradable()
		if err == nil {
			err = s.replace(t)
		}
		s.refuseUpgrade(err, nil) // else this is another program by now
		s.openDoors()
	})
}

// verdict is nil if the new version agreed.
func (t *trial) verdict(status process.Status) error {
	switch {
	case t.late:
		return fmt.Errorf("%s does not say within %v whether it could go on", t.path, trialTime)
	case status != process.Status{}:
		return fmt.Errorf("%s cannot go on: %v", t.path, status)
	case !slices.Equal(t.answer.Lines(1), []string{TrialAnswer}):
		return fmt.Errorf("%s is not a gosuper that could go on", t.path)
	}
	return t.unchanged()
}

// unchanged says whether the file is still the one that is being tried.
func (t *trial) unchanged() error {
	if now, err := imprintOf(t.path); err != nil || now != t.file {
		return fmt.Errorf("%s has changed since it was tried", t.path)
	}
	return nil
}

// replace has the new version take the place of this one. It returns only if
// that fails.
func (s *Supervisor) replace(t *trial) error {
	s.log.Info("upgrading", zap.String("path", t.path))
	if err := s.log.Sync(); err != nil {
		return err
	}
	var taken []syscall.Signal
	err := s.standstill(func(e estate) error {
		descriptors := e.descriptors()
		state, err := handover.Write(e, descriptors)
		if err != nil {
			return err
		}
		defer unix.Close(state)
		if err := t.unchanged(); err != nil { // closing the doors took its time
			return err
		}
		next := Program{t.path, s.options.Program.Args}
		return s.hands.become(next, s.options.Environ, state, descriptors, func() []syscall.Signal {
			taken = s.pendingSignals()
			return taken
		})
	})
	s.deafen = s.hands.listen(s.signals)
	for _, sig := range taken {
		s.handle(sig)
	}
	return err
}

// become executes a program in the place of this one.
func become(p Program, environ []string, state int, descriptors []int, taken func() []syscall.Signal) error {
	return handover.Exec(p.Path, p.Args, environ, state, descriptors, taken)
}
