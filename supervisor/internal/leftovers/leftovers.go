//go:build linux

// Package leftovers knows the processes that workers have left behind outside
// their process group, which SIGKILL takes, and that their master has adopted: which
// worker each comes from, and which have to end because theirs has. It ends those.
package leftovers

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/groups"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/worker/protocol"
)

// Leftovers is what has to be remembered of workers for that. It belongs to one
// goroutine.
type Leftovers struct {
	// Guests are the sessions of children that this process had before it was a
	// master.
	Guests []int `state:"guests"`
	// Shared says that there were such, or a build: what they leave behind is
	// adopted as well.
	Shared bool `state:"shared"`

	// Groups are those of workers that are gone and had leases.
	Groups groups.Groups `state:",inline"`

	options Options         `state:"-"`
	killer  *process.Killer `state:"-"`

	dead   map[int]Leader `state:"-"` // by pid, while the kernel gives that to nobody else
	told   map[int]bool   `state:"-"` // pids that were named
	owners map[int][]int  `state:"-"` // ids of the workers that a process may come from, by its pid
	warned bool           `state:"-"` // what ended with its leader was told of
	due    bool           `state:"-"` // a look was postponed
	look   *look          `state:"-"` // that is under way; nil: none is
}

// New knows of nothing.
func New() Leftovers {
	return Leftovers{dead: map[int]Leader{}, told: map[int]bool{}, owners: map[int][]int{}}
}

// A Leader is a worker, which leads a session and a process group.
type Leader struct {
	ID, PID int
	// Alone says of a dead one that it ended by itself, when it was asked to, and knew
	// nothing of gosuper: what it had started may have known as little.
	Alone bool
	// Stop is the signal that asked it, if it ended alone.
	Stop syscall.Signal
	// Busy says of one that is alive that it may have started something.
	Busy bool
}

// A Leftover is a process that a worker left behind and that is to end.
type Leftover struct {
	process.Orphan
	Owner int  // id of the worker; 0: one of several, or nobody knows
	Again bool // it was returned before
}

// Meet notes the sessions of the children that there are before the first worker. A
// script that starts something beside the master and becomes the master by exec leaves
// them to it.
func (l *Leftovers) Meet(guests []int) {
	l.Guests = append(l.Guests, guests...)
	l.Shared = l.Shared || len(guests) > 0
}

// Died notes that a worker was reaped, whose session or group may not be empty yet.
func (l *Leftovers) Died(w Leader) { l.dead[w.PID] = w }

// quiet says that there is nothing to look for after these were reaped: nobody was
// orphaned, and nobody lost whom he had orphaned.
func (l *Leftovers) quiet(reaped []process.Orphan) bool {
	return len(l.dead) == 0 && len(reaped) == 0 && !l.due
}

// postpone has it not be quiet before there was a look at who was adopted.
func (l *Leftovers) postpone() { l.due = true }

// look is a look at who was adopted, which takes its time.
type look struct {
	dead   map[int]Leader // when it began
	reaped map[int]bool   // pids that may be another's since
}

// begin begins a look at who was adopted, whose result is for sort. It returns false,
// and has another look be due, if one is under way.
func (l *Leftovers) begin() bool {
	if l.look != nil {
		l.due = true
		return false
	}
	l.look, l.due = &look{dead: maps.Clone(l.dead), reaped: map[int]bool{}}, false
	return true
}

// Reaped notes that a child was reaped, of whatever kind.
func (l *Leftovers) Reaped(pid int) {
	if l.look != nil {
		l.look.reaped[pid] = true
	}
}

// giveUp ends a look without its result, and has another be due.
func (l *Leftovers) giveUp() { l.look, l.due = nil, true }

// end ends the look, and returns what it saw that is still so, and the dead that there
// were at its beginning.
func (l *Leftovers) end(adopted []process.Orphan) (still []process.Orphan, dead map[int]Leader) {
	seen := l.look
	if seen == nil {
		return adopted, l.dead
	}
	l.look = nil
	return slices.DeleteFunc(adopted, func(o process.Orphan) bool { return seen.reaped[o.Pid] }), seen.dead
}

// sort returns what there is to end of the children that were adopted, while these
// workers are alive.
func (l *Leftovers) sort(adopted []process.Orphan, alive []Leader) (over []Leftover) {
	adopted, dead := l.end(adopted)
	adopted = l.ofWorkers(adopted)
	for _, o := range adopted {
		if _, ok := l.dead[o.Group]; ok {
			continue // SIGKILL is on its way to the whole group
		}
		owners := l.ownersOf(o, alive)
		lives := func(id int) bool { return slices.ContainsFunc(alive, func(w Leader) bool { return w.ID == id }) }
		if !o.Ended && !o.Killed && owners != nil && !slices.ContainsFunc(owners, lives) {
			over = append(over, l.tell(o, owners))
		}
	}
	l.forget(adopted, dead)
	return over
}

// rest returns what there is to end, whosesoever, when the master ends. rest is all
// that is there besides, too: it may bring others to light.
func (l *Leftovers) rest(adopted []process.Orphan, alive []Leader) (over []Leftover, rest []process.Orphan) {
	rest = l.ofWorkers(adopted)
	for _, o := range rest {
		if _, ending := l.dead[o.Group]; !ending && !o.Ended && !o.Killed {
			over = append(over, l.tell(o, l.ownersOf(o, alive)))
		}
	}
	return over, rest
}

func (l *Leftovers) tell(o process.Orphan, owners []int) Leftover {
	one := Leftover{Orphan: o, Again: l.told[o.Pid]}
	if len(owners) == 1 {
		one.Owner = owners[0]
	}
	l.told[o.Pid] = true
	return one
}

// lost returns, once, a process that SIGKILL ended because the worker that leads its
// group ended when it was asked to finish, as a shell does that has started a server
// without exec: what the server was doing is lost. One that ignores that signal would not
// have finished anything at it: such are helpers that end with whoever has started them,
// as Python's multiprocessing has one.
func (l *Leftovers) lost(reaped []process.Orphan) (one process.Orphan, leader int, found bool) {
	for _, o := range reaped {
		delete(l.owners, o.Pid)
		dead, ok := l.dead[o.Group]
		if ok && dead.Alone && !l.warned && o.Status.Signal == syscall.SIGKILL && !o.Ignores(dead.Stop) {
			l.warned, one, leader, found = true, o, dead.ID, true
		}
	}
	return one, leader, found
}

// ofWorkers are the children that may come from workers. A worker and all that it
// starts are in sessions of their own, which nobody enters from another: who is in
// that of the master, or of a guest, was there without any worker.
func (l *Leftovers) ofWorkers(adopted []process.Orphan) []process.Orphan {
	ours, err := unix.Getsid(0)
	there := map[int]bool{}
	adopted = slices.DeleteFunc(adopted, func(o process.Orphan) bool {
		there[o.Session] = true
		return err == nil && o.Session == ours || slices.Contains(l.Guests, o.Session)
	})
	// The kernel may give the number of a session that is gone to another one.
	l.Guests = slices.DeleteFunc(l.Guests, func(session int) bool { return !there[session] })
	return adopted
}

// noWorker is no worker's id.
const noWorker = 0

// ownersOf are the workers that a process may come from: one, as a rule; nil: that is
// not known. The session says so for certain. A process that has one of its own says
// it in its environment, where it may lie, and is ended earlier or later for it. One
// that does not say it comes from one of the workers there were when it was seen
// first, and has to end with the last of them; unless it may be from somebody else
// whose children are adopted here. Whatever it becomes later changes nothing.
func (l *Leftovers) ownersOf(o process.Orphan, alive []Leader) []int {
	if known, ok := l.owners[o.Pid]; ok {
		return known
	}
	var owners []int
	if i := slices.IndexFunc(alive, func(w Leader) bool { return w.PID == o.Session }); i >= 0 {
		owners = []int{alive[i].ID}
	} else if dead, ok := l.dead[o.Session]; ok {
		owners = []int{dead.ID}
	} else if id, err := strconv.Atoi(o.Value(protocol.EnvWorkerID)); err == nil {
		owners = []int{id}
	} else if !l.Shared && os.Getpid() != 1 {
		owners = append(owners, noWorker)
		for _, w := range alive {
			if w.Busy {
				owners = append(owners, w.ID)
			}
		}
	}
	l.owners[o.Pid] = owners
	return owners
}

// forget drops what concerns nobody any more, of the dead those that were dead when
// the look began.
func (l *Leftovers) forget(adopted []process.Orphan, dead map[int]Leader) {
	there := map[int]bool{}
	for _, o := range adopted {
		there[o.Pid], there[o.Group], there[o.Session] = true, true, true
	}
	maps.DeleteFunc(l.dead, func(pid int, w Leader) bool { return !there[pid] && dead[pid] == w })
	maps.DeleteFunc(l.told, func(pid int, _ bool) bool { return !there[pid] })
	maps.DeleteFunc(l.owners, func(pid int, _ []int) bool { return !there[pid] })
}
