//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/files"
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

// trialState is the descriptor at which a new version finds the state, and
// trialProgram that of which it is executed.
const (
	trialState   = 3
	trialProgram = 4
)

// trial is a new version that is being tried.
type trial struct {
	candidate
	pid    int
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

// candidate is the program behind the path that gosuper was started from.
type candidate struct {
	path    string // without links
	file    imprint
	program *os.File // what is executed, whatever the path means by then
}

// findProgram finds the program that is behind the path now. Nobody but root and
// our own user could have put it there: it is to run as we do.
func findProgram(path string) (c candidate, err error) {
	c.program, c.path, err = files.OpenProgram(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, fmt.Errorf("cannot find the program gosuper was started from: %w", err)
	case err != nil:
		return c, fmt.Errorf("cannot use the program gosuper was started from: %w", err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(c.program.Fd()), &stat); err != nil {
		c.program.Close()
		return c, fmt.Errorf("cannot look at the program gosuper was started from: %w", err)
	}
	c.file = imprintFrom(&stat)
	return c, nil
}

// try starts a new version that is to say whether it could go on.
func try(s *Supervisor, c candidate, state int) (t *trial, err error) {
	t = &trial{candidate: c}
	if t.answer, err = process.NewTail(process.Stdout, io.Discard); err != nil {
		return nil, err
	}
	defer t.answer.CloseWriteEnd()
	if t.words, err = process.NewTail(process.Stderr, io.Discard); err != nil {
		t.answer.Close()
		return nil, err
	}
	defer t.words.CloseWriteEnd()
	args := s.options.Program.Args
	t.pid, err = process.Start(process.Spec{
		Path: handover.Path(trialProgram), Env: s.options.Environ,
		Argv:  slices.Insert(slices.Clone(args), 1, fmt.Sprintf("--%s=%d", TrialFlag, trialState)),
		Files: []int{process.Null, t.answer.WriteEnd(), t.words.WriteEnd(), state, int(c.program.Fd())},
	})
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// lines are the last lines that it wrote, where it is called by its path.
func (t *trial) lines() []string {
	lines := t.words.Lines(lastLines)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], handover.Path(trialProgram), t.path)
	}
	return lines
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
