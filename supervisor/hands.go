//go:build linux

package supervisor

import (
	"iter"
	"os"
	"syscall"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/handover"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
	"github.com/gosuper/gosuper/supervisor/internal/signals"
	"github.com/gosuper/gosuper/supervisor/internal/upgrade"
	"github.com/gosuper/gosuper/worker/resident"
)

// hands are the system calls of the loop, and the seam for its tests.
type hands struct {
	signals signals.Source
	launch  func(w *roster.Worker, told func(pid int, err error)) (pid int, err error) // nil: that of births
	signal  func(l *leftovers.Leftovers, pid int, w *roster.Worker, o order) error
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

// system are those of a master of real processes.
func system() hands {
	return hands{
		signals: signals.System(), signal: send, reap: process.NewReaper().Reap, guests: process.Sessions, adopted: process.Adopted,
		child: process.IsChild, trees: scales.Trees, trim: resident.Trim, look: process.Look, oom: config.NewOOMCounter(os.DirFS("/")).Kills,
		try: (*upgrade.Candidate).Try, become: handover.Exec,
	}
}

// order is what a process is told by signal.
type order int

const (
	orderStop  order = iota // ask it to finish
	orderAbort              // ask it for its stacks, also if it was stopped
	orderKill               // end it and all that it has started, or its process group alone
)

func (o order) String() string { return [...]string{"stop", "abort", "kill"}[o] }

// send gives the order. The process is not reaped yet, so the pid is its own.
func send(l *leftovers.Leftovers, pid int, w *roster.Worker, o order) error {
	switch o {
	case orderStop:
		return process.Signal(pid, w.Rev.Config.StopSignal.Number)
	case orderAbort:
		if err := process.Signal(pid, w.Rev.Config.AbortSignal.Number); err != nil {
			return err
		}
		return process.Continue(pid)
	default:
		if w.Rev.Config.Limits.Outlive {
			return process.KillGroup(pid)
		}
		return l.KillTree(pid)
	}
}
