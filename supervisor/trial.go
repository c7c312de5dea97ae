package supervisor

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

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
