//go:build linux

package upgrade

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

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
	// lastLines is how many of its last lines explain why it refused.
	lastLines = 20
)

// trialState is the descriptor at which a new version finds the state, and
// trialProgram that of which it is executed.
const (
	trialState   = 3
	trialProgram = 4
)

// A Candidate is the program behind the path that gosuper was started from.
type Candidate struct {
	Path    string   // without links
	Program *os.File // what is executed, whatever the path means by then
	file    files.Imprint
}

// Find finds the program that is behind the path now. Nobody but root and our own
// user could have put it there: it is to run as we do.
func Find(path string) (*Candidate, error) {
	c := new(Candidate)
	var err error
	c.Program, c.Path, err = files.OpenProgram(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cannot find the program gosuper was started from: %w", err)
	case err != nil:
		return nil, fmt.Errorf("cannot use the program gosuper was started from: %w", err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(c.Program.Fd()), &stat); err != nil {
		c.Program.Close()
		return nil, fmt.Errorf("cannot look at the program gosuper was started from: %w", err)
	}
	c.file = files.ImprintFrom(&stat)
	return c, nil
}

// Unchanged says whether the file is still the one that was found.
func (c *Candidate) Unchanged() error {
	if now, err := files.ImprintOf(c.Path); err != nil || now != c.file {
		return fmt.Errorf("%s has changed since it was tried", c.Path)
	}
	return nil
}

// A Trial is a new version that is being tried; nil: there is none.
type Trial struct {
	*Candidate
	PID            int // 0: it is over
	Stdout, Stderr *process.Tail
	until          time.Time // when it is given up; zero: it was
	late           bool
}

// Try starts the candidate with the arguments of this program, to say whether it
// could go on with the state, a descriptor.
func (c *Candidate) Try(args, environ []string, state int) (t *Trial, err error) {
	t = &Trial{Candidate: c, until: time.Now().Add(trialTime)}
	if t.Stdout, err = process.NewTail(process.Stdout, io.Discard); err != nil {
		return nil, err
	}
	defer t.Stdout.CloseWriteEnd()
	if t.Stderr, err = process.NewTail(process.Stderr, io.Discard); err != nil {
		t.Stdout.Close()
		return nil, err
	}
	defer t.Stderr.CloseWriteEnd()
	t.PID, err = process.Start(process.Spec{
		Path: handover.Path(trialProgram), Env: environ,
		Argv:  slices.Insert(slices.Clone(args), 1, fmt.Sprintf("--%s=%d", TrialFlag, trialState)),
		Files: []int{process.Null, t.Stdout.WriteEnd(), t.Stderr.WriteEnd(), state, int(c.Program.Fd())},
	})
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("cannot try %s: %w", c.Path, err)
	}
	return t, nil
}

// Is says whether the process is that of the trial.
func (t *Trial) Is(pid int) bool { return t != nil && t.PID == pid }

// Due is when to call Hurry; zero: never.
func (t *Trial) Due() time.Time {
	if t == nil || t.PID == 0 {
		return time.Time{}
	}
	return t.until
}

// Hurry ends a trial that takes too long.
func (t *Trial) Hurry(now time.Time) error {
	if due := t.Due(); due.IsZero() || due.After(now) {
		return nil
	}
	t.late, t.until = true, time.Time{}
	if err := process.KillGroup(t.PID); err != nil {
		return fmt.Errorf("cannot end the new version: %w", err)
	}
	return nil
}

// End takes note of the end of the trial, with the status of its process. The error
// says why the new version will not do, and the lines are the last that it wrote.
func (t *Trial) End(status process.Status) (lines []string, err error) {
	defer t.Close()
	t.PID = 0
	switch {
	case t.late:
		err = fmt.Errorf("%s does not say within %v whether it could go on", t.Path, trialTime)
	case status != process.Status{}:
		err = fmt.Errorf("%s cannot go on: %v", t.Path, status)
	case !slices.Equal(t.Stdout.Lines(1), []string{TrialAnswer}):
		err = fmt.Errorf("%s is not a gosuper that could go on", t.Path)
	default:
		return nil, nil
	}
	lines = t.Stderr.Lines(lastLines)
	for i := range lines { // it is called by its path
		lines[i] = strings.ReplaceAll(lines[i], handover.Path(trialProgram), t.Path)
	}
	return lines, err
}

// Close ends what listens to the new version.
func (t *Trial) Close() {
	t.Stdout.Close()
	t.Stderr.Close()
}
