//go:build linux

package supervisor

import (
	"iter"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/birth"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/develop"
	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/limits"
	"github.com/gosuper/gosuper/supervisor/internal/listeners"
	"github.com/gosuper/gosuper/supervisor/internal/logorder"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/postmortem"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
	"github.com/gosuper/gosuper/supervisor/internal/report"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
	"github.com/gosuper/gosuper/supervisor/internal/signals"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
	"github.com/gosuper/gosuper/supervisor/internal/upgrade"
	_ "github.com/gosuper/gosuper/worker/plain" // a master under another one is no cooperating worker
)

// Supervisor is one master. Its state belongs to the goroutine of the loop, which Run
// starts.
type Supervisor struct {
	options Options       `state:"-"`
	log     *logorder.Log `state:"-"` // which all of the loop writes to
	hands   hands         `state:"-"`
	inputs  `state:"-"`

	fleet     *fleet.Fleet        `state:"fleet"`
	revisions revision.Known      `state:",inline"`
	files     *ownfiles.Files     `state:",inline"` // that the master writes itself
	sockets   listeners.Listeners `state:",inline"` // beside those of the revisions
	births    birth.Births        `state:",inline"` // of workers, and of other processes

	roster    *roster.Roster      `state:",inline"`
	leftovers leftovers.Leftovers `state:",inline"`

	books       *books.Books           `state:",inline"` // what is counted and remembered
	report      *report.Report         `state:"-"`       // what the master is doing
	postmortems postmortem.Postmortems `state:",inline"` // of workers
	limits      limits.Limits          `state:",inline"` // of workers, and of how many there are
	reloads     *reloads.Reloads       `state:",inline"`
	endpoints   *endpoints.Endpoints   `state:",inline"` // where people and programs ask
	upgrades    upgrade.Upgrades       `state:"-"`
}

// inputs are what the loop waits for, beside its timer, and what it has to do next.
type inputs struct {
	signals *signals.Signals
	signs   *signs.Signs  // of workers: what they say, and what is seen of them
	loop    *loop.Loop    // by which other goroutines reach the loop
	noted   []fleet.Event // what the brain is told in its next step

	development *develop.Development // what was edited
}

// hands are the system calls of the loop, and the seam for its tests.
type hands struct {
	signals signals.Source
	launch  func(w *roster.Worker, told func(pid int, err error)) (pid int, err error) // nil: that of births
	signal  func(s *Supervisor, pid int, w *roster.Worker, o order) error
	try     func(c *upgrade.Candidate, args, environ []string, state int) (*upgrade.Trial, error)
	become  func(program int, argv, environ []string, state int, descriptors []int, taken func() []syscall.Signal) error
	reap    func(known func(pid int) bool, workers iter.Seq[int]) ([]process.Exit, []process.Orphan, error)
	child   func(pid int) bool // whether it is one, dead or alive
	trees   func(pids []int) ([]scales.Tree, error)
	guests  func() []int // sessions of the children that there are already
	// adopted, trim and look are called from other goroutines. adopted are the
	// children that were not started here.
	adopted func(known func(pid int) bool) []process.Orphan
	trim    func()
	look    func(asked []process.Asked, others []int, told func(seen map[int]process.Waiting))
	// oom is how many processes of our cgroup the kernel killed because memory ran
	// out, workers among them.
	oom func() (kills uint64, ok bool)
}

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

// note keeps an event for the next step.
func (s *Supervisor) note(ev fleet.Event) { s.noted = append(s.noted, ev) }

// step hands the events to the brain, after those that were noted, and does what
// it says, until there is nothing left that followed from it. What happens
// together makes one step, which takes time in proportion to the workers.
func (s *Supervisor) step(events ...fleet.Event) {
	s.noted = append(s.noted, events...)
	for len(s.noted) > 0 && !s.fleet.Halted() {
		events, s.noted = s.noted, nil
		actions := s.fleet.Step(time.Now(), events...)
		s.foretell()
		var last []func()
		for _, a := range actions {
			if rest := s.perform(a); rest != nil {
				last = append(last, rest)
			}
		}
		if s.fleet.Moved() {
			s.sockets.CloseSlots()
		}
		s.limits.Keep(time.Now())
		for _, rest := range last {
			rest()
		}
		s.forget()
	}
}
