//go:build linux

package leftovers

import (
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// EndTime is how long the end of the master waits until what workers left behind is
// gone: what those had started comes to light only then.
const EndTime = 500 * time.Millisecond

// Options are what a master gives its leftovers. All fields are required.
type Options struct {
	Loop *loop.Loop
	Log  *zap.Logger
	// Note keeps an event for the next step of the brain.
	Note func(fleet.Event)
	// Knows says, in the loop, whether a process is a child that the master has started.
	Knows func(pid int) bool
	// Adopted are the children that are not known. It is called from other goroutines:
	// what it reads belongs to them, and they may be able to keep its reader waiting.
	Adopted func(known func(pid int) bool) []process.Orphan
	// Children says, in the loop, what the master's own children are at this moment.
	Children func() Children
	// Expecting says, in the loop, whether one that nobody knows may be another that is
	// just being made.
	Expecting func() bool
	// Outlive says, in the loop, whether what is left behind may live.
	Outlive func() bool
}

// Children are those of a master that it has started itself.
type Children struct {
	Workers map[int]bool // their pids, for any goroutine
	Leaders []Leader     // who of them may have left something behind
}

// Attach says what the leftovers work with.
func (l *Leftovers) Attach(o Options) {
	l.options = o
	l.killer = process.NewKiller(func() (pids []int) {
		o.Loop.Report(func() { pids = slices.Collect(maps.Keys(o.Children().Workers)) })
		return pids
	}, func(pid int, err error) {
		o.Log.Error("cannot kill all processes of a worker", zap.Int("pid", pid), zap.Error(err))
	})
}

// KillTree ends a worker, or another child that leads a session, with all that it has
// started, as [process.Killer.Kill] does.
func (l *Leftovers) KillTree(pid int) error { return l.killer.Kill(pid) }

// Killed is closed when all are killed that were to be so far.
func (l *Leftovers) Killed() <-chan struct{} { return l.killer.Idle() }

// Clear tells the brain that a worker with a lease is cleared, as soon as nobody is left of
// its process group; 0: it had none.
func (l *Leftovers) Clear(worker, group int) {
	if group == 0 {
		l.options.Note(fleet.Cleared{ID: worker})
		return
	}
	l.Groups.Watch(worker, group)
}

// LookAtGroups tells the brain of whom nobody is left.
func (l *Leftovers) LookAtGroups(now time.Time) {
	for _, worker := range l.Groups.Look(now, l.options.Knows) {
		l.options.Note(fleet.Cleared{ID: worker})
	}
}

// Sweep ends what workers left behind that are gone themselves by now. While a worker
// is being born nobody can tell its process from what others left.
func (l *Leftovers) Sweep(reaped []process.Orphan) {
	if l.quiet(reaped) {
		return
	}
	l.warnLost(reaped)
	if l.options.Expecting() {
		l.postpone()
		return
	}
	if !l.begin() {
		return
	}
	workers := l.options.Children().Workers
	go func() {
		adopted := l.options.Adopted(func(pid int) bool { return workers[pid] })
		l.options.Loop.Report(func() { l.swept(adopted) })
	}()
}

// swept ends those of the children that are to end.
func (l *Leftovers) swept(adopted []process.Orphan) {
	if l.options.Expecting() { // one of them may be the one that is being born
		l.giveUp()
		return
	}
	is := l.options.Children()
	for _, o := range l.sort(l.unknown(adopted), is.Leaders) {
		l.kill(o)
	}
	if l.due {
		l.Sweep(nil)
	}
}

// unknown are those that were not started here.
func (l *Leftovers) unknown(adopted []process.Orphan) []process.Orphan {
	return slices.DeleteFunc(adopted, func(o process.Orphan) bool { return l.options.Knows(o.Pid) })
}

// kill ends a process that a worker left behind, or lets it live if it may, and names
// it once.
func (l *Leftovers) kill(o Leftover) {
	outlive := l.options.Outlive()
	if !o.Again {
		fields := []zap.Field{zap.Int("pid", o.Pid), zap.String("command", o.Command)}
		if o.Owner > 0 {
			fields = append([]zap.Field{zap.Int("worker", o.Owner)}, fields...)
		} else if o.Owner < 0 {
			fields = append([]zap.Field{zap.Bool("loader", true)}, fields...)
		}
		if outlive {
			l.options.Log.Info("worker left a process behind, which may outlive it", fields...)
		} else {
			l.options.Log.Warn("worker left a process behind, which is ended: see limits.outlive", fields...)
		}
	}
	if outlive {
		return
	}
	if err := o.Kill(); err != nil {
		l.options.Log.Error("cannot end what a worker left behind", zap.Int("pid", o.Pid), zap.Error(err))
	}
}

// warnLost says once what ended with the worker that had started it.
func (l *Leftovers) warnLost(reaped []process.Orphan) {
	if o, leader, found := l.lost(reaped); found {
		l.options.Log.Warn("worker ended at its stop signal before the processes it had started, which are killed with all they were doing: "+
			"only the first process of a worker gets the signal; a shell script starts its server by exec",
			zap.Int("worker", leader), zap.Int("pid", o.Pid))
	}
}

// End ends all that workers have left behind, whosesoever, when the master ends, and
// nothing else. reap takes the exits there are, and a signal of ended says that there
// may be more.
func (l *Leftovers) End(reap func() []process.Orphan, ended <-chan os.Signal) {
	limit := time.NewTimer(EndTime)
	defer limit.Stop()
	for {
		l.warnLost(reap())
		is := l.options.Children()
		adopted, ok := l.adopted(is.Workers, limit.C)
		if !ok {
			l.options.Log.Error("cannot look for what workers have left behind: one of them lets nobody read what it is")
			return
		}
		over, rest := l.rest(l.unknown(adopted), is.Leaders)
		for _, o := range over {
			l.kill(o)
		}
		if len(rest) == 0 || l.options.Outlive() {
			return
		}
		if !await(ended, limit.C) {
			l.nameRest(rest)
			return
		}
	}
}

// adopted are the children that were adopted, if those can be known in time.
func (l *Leftovers) adopted(workers map[int]bool, late <-chan time.Time) (all []process.Orphan, ok bool) {
	found := make(chan []process.Orphan, 1)
	go func() { found <- l.options.Adopted(func(pid int) bool { return workers[pid] }) }()
	select {
	case all = <-found:
		return all, true
	case <-late:
		return nil, false
	}
}

// await waits for the end of some child, and says whether it came in time.
func await(ended <-chan os.Signal, late <-chan time.Time) bool {
	for {
		select {
		case sig := <-ended:
			if sig == os.Signal(syscall.SIGCHLD) {
				return true
			}
		case <-late:
			return false
		}
	}
}

// nameRest says what does not end.
func (l *Leftovers) nameRest(rest []process.Orphan) {
	for _, o := range rest {
		if !o.Ended {
			l.options.Log.Error("what a worker left behind does not die", zap.Int("pid", o.Pid), zap.String("command", o.Command))
		}
	}
}
