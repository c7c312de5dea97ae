//go:build linux

package upgrade

import (
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// Options are what upgrades need of the master. All fields are required, and the functions
// are called by the owner.
type Options struct {
	Log     *zap.Logger
	Loop    *loop.Loop // by which goroutines reach the owner
	Version string     // of this program
	Path    func() string
	// Objection says why there can be no upgrade now, and Idle whether nothing is being
	// made that would be lost with this image.
	Objection func() error
	Idle      func() bool
	// Try has the trial of a candidate begin, and told learns what came of that.
	Try func(c *Candidate, told func(*Trial, error))
	// Pause has nobody answered any more, and Unpause undoes that; over is closed when
	// those have their answers who were being answered.
	Pause   func() (over <-chan struct{})
	Unpause func()
	// Replace has the candidate take the place of this program, and failed learns why that
	// cannot be.
	Replace func(c *Candidate, failed func(error))
}

// Attach says what the upgrades work with.
func (u *Upgrades) Attach(o Options) { u.options = o }

// Ask tries the program that is now where this one was started from, and goes on as that
// if it agrees.
func (u *Upgrades) Ask() {
	if !u.Start(u.options.Version) {
		u.options.Log.Info("upgrade ignored: one is under way")
		return
	}
	u.Continue()
}

// Continue begins the phase of an upgrade that has waited for the workers. It is to be
// called whenever something has happened.
func (u *Upgrades) Continue() {
	phase := u.Pending()
	if phase == None || phase.AfterExec() && !u.options.Idle() {
		return
	}
	u.begun = true
	if err := u.options.Objection(); err != nil {
		u.refuse(err, nil)
		return
	}
	u.begin(phase)
}

// begin does what there is to do in a phase, or has it done; goOn is called when it is
// over.
func (u *Upgrades) begin(phase Phase) {
	switch phase {
	case Finding:
		path := u.options.Path()
		go func() {
			c, err := Find(path)
			u.options.Loop.Report(func() {
				if err != nil {
					u.refuse(err, nil)
					return
				}
				u.Candidate = c
				u.goOn()
			})
		}()
	case Trying:
		u.options.Try(u.Candidate, u.tried)
	case Closing:
		u.options.Log.Info("upgrading", zap.String("path", u.Candidate.Path))
		u.Tell()
		over := u.options.Pause()
		go func() {
			<-over
			u.options.Loop.Report(u.goOn)
		}()
	case Replacing:
		u.options.Replace(u.Candidate, func(err error) { u.refuse(err, nil) })
	}
}

// goOn goes on with the next phase, as soon as that can be.
func (u *Upgrades) goOn() {
	u.Next()
	u.Continue()
}

// refuse says why there is no upgrade, with the last lines of the version that refused.
func (u *Upgrades) refuse(err error, lines []string) {
	u.options.Log.Error("upgrade refused, nothing was changed", zap.Error(err), zap.Strings("last_lines", lines))
	if u.Refuse(err, lines) == Replacing {
		u.options.Unpause()
	}
}

// tried notes that the process of a trial was made, or why it was not.
func (u *Upgrades) tried(t *Trial, err error) {
	if err != nil {
		u.refuse(err, nil)
		return
	}
	u.trial = t
	u.options.Log.Info("upgrade: trying the new version", zap.String("path", t.Path), zap.Int("pid", t.PID))
}

// Tries says whether the process is that of a trial.
func (u *Upgrades) Tries(pid int) bool { return u.trial.Is(pid) }

// Due is when to call [Upgrades.Hurry]; zero: never.
func (u *Upgrades) Due() time.Time { return u.trial.Due() }

// Hurry ends a trial that takes too long.
func (u *Upgrades) Hurry(now time.Time) {
	if err := u.trial.Hurry(now); err != nil {
		u.options.Log.Error("a trial goes on", zap.Error(err))
	}
}

// Ended goes on as the new version, if it agreed and is what it was: the process of its
// trial has ended.
func (u *Upgrades) Ended(status process.Status) {
	if lines, err := u.trial.End(status); err != nil {
		u.refuse(err, lines)
		return
	}
	candidate := u.Candidate
	go func() {
		err := candidate.Unchanged()
		u.options.Loop.Report(func() {
			if err != nil {
				u.refuse(err, nil)
				return
			}
			u.goOn()
		})
	}()
}
