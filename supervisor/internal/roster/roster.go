//go:build linux

// Package roster is the list of the workers that a master has: by id, and by pid once
// they have one.
//
// A worker is entered before it has a process. Who makes that may be another process,
// which tells the pid later, or never: until then the worker is unborn. Its end may be
// seen before its pid is told, and is not lost: see [Roster.Reaped] and [Roster.Born].
//
// A [Worker] is who it is, its process and the handles that tie the master to it, which
// are what its board, its output and its end are read from. In what state it is only the
// brain knows.
//
// What workers wrote may go on after they are gone, since what they had started may
// hold their pipes: the roster keeps those, too.
package roster

import (
	"iter"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/output"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// A Roster is the list. It belongs to one goroutine.
type Roster struct {
	workers   map[int]*Worker   `state:"workers,list=id"` // by id
	pids      map[int]*Worker   `state:"-"`               // by pid, until they are reaped
	unborn    map[int]bool      `state:"-"`               // ids of those without a process
	others    int               `state:"-"`               // processes that are being made and are no worker's
	unclaimed process.Unclaimed `state:"-"`               // of whom one may turn out to be an unborn one's
	left      []Stray           `state:"strays"`          // output of workers that are gone, which others may hold
}

// New returns a list of nobody.
func New() *Roster {
	return &Roster{workers: map[int]*Worker{}, pids: map[int]*Worker{}, unborn: map[int]bool{}}
}

// Enter adds a worker, which has no process yet.
func (r *Roster) Enter(w *Worker) {
	r.workers[w.ID] = w
	r.unborn[w.ID] = true
}

// Born notes which process a worker is. If that has ended already, and was reaped, it
// returns how.
func (r *Roster) Born(id, pid int) (end process.Status, ended bool) {
	defer r.delivered(id)
	if end, ended = r.unclaimed.Claim(pid); !ended {
		r.pids[pid] = r.workers[id]
	}
	return end, ended
}

// Unborn says whether the worker has no process yet.
func (r *Roster) Unborn(id int) bool { return r.unborn[id] }

// Expecting says whether there are unborn workers, or others: a child that nobody knows
// may be one of them.
func (r *Roster) Expecting() bool { return len(r.unborn)+r.others > 0 }

// Expect notes that a process is being made which is no worker's. [Roster.Came] says
// that this is over.
func (r *Roster) Expect() { r.others++ }

// Came notes which process was made; 0: none. If that has ended already, and was
// reaped, it returns how.
func (r *Roster) Came(pid int) (end process.Status, ended bool) {
	defer r.forget()
	r.others--
	return r.unclaimed.Claim(pid)
}

// Ended says whether a process that was reaped may be an unborn worker's.
func (r *Roster) Ended(pid int) bool { return r.unclaimed.Holds(pid) }

// GiveUp notes that an unborn worker will never have a process.
func (r *Roster) GiveUp(id int) { r.delivered(id) }

func (r *Roster) delivered(id int) {
	delete(r.unborn, id)
	r.forget()
}

// forget drops what nobody is left to claim.
func (r *Roster) forget() {
	if !r.Expecting() {
		r.unclaimed.Drop()
	}
}

// Has says whether the process is that of a worker, and not reaped yet.
func (r *Roster) Has(pid int) bool { return r.pids[pid] != nil }

// PIDs are those of all workers that are not reaped yet. One that was yielded may be
// reaped meanwhile.
func (r *Roster) PIDs() iter.Seq[int] { return maps.Keys(r.pids) }

// Reaped returns the worker whose process is reaped: its pid may be another's from now
// on.
func (r *Roster) Reaped(pid int) *Worker {
	w := r.pids[pid]
	delete(r.pids, pid)
	return w
}

// ReapedOthers notes children that were reaped and are not known: an unborn worker may
// be among them.
func (r *Roster) ReapedOthers(orphans []process.Orphan) {
	if r.Expecting() {
		r.unclaimed.Keep(orphans)
	}
}

// Of is the worker with the id; nil: there is none.
func (r *Roster) Of(id int) *Worker { return r.workers[id] }

// Len is how many there are.
func (r *Roster) Len() int { return len(r.workers) }

// All yields the workers, in no order. One that was yielded may be removed meanwhile.
func (r *Roster) All() iter.Seq[*Worker] { return maps.Values(r.workers) }

// Holders yields the workers that have one of the sockets and are not gone.
func (r *Roster) Holders(sockets *socket.Set) iter.Seq[*Worker] {
	return func(yield func(*Worker) bool) {
		for w := range r.All() {
			if !w.Gone && w.Rev.Sockets.Of(w.Slot).Bits(sockets) != 0 && !yield(w) {
				return
			}
		}
	}
}

// IDs are those of the workers, in their order.
func (r *Roster) IDs() []int { return slices.Sorted(maps.Keys(r.workers)) }

// Remove strikes a worker off the list, which is gone.
func (r *Roster) Remove(id int) {
	delete(r.workers, id)
	r.delivered(id)
}

// Leave keeps the output of a worker that is gone until nobody can write to it any
// more.
func (r *Roster) Leave(output ...*process.Tail) {
	r.Left()
	for _, t := range output {
		r.left = append(r.left, Stray{Tail: t})
	}
}

// Left is the output that was left and that somebody may still write to.
func (r *Roster) Left() (all []*process.Tail) {
	r.left = slices.DeleteFunc(r.left, func(one Stray) bool { return one.Ended() })
	for _, one := range r.left {
		all = append(all, one.Tail)
	}
	return all
}

// A Stray is a pipe that somebody may still write to.
type Stray struct {
	*process.Tail `state:",inline"`
	Worker        int `state:"worker"` // whose stdout it is, as older versions say it; 0: nobody's
}

// Save readies the list for being written.
func (r *Roster) Save() {
	r.Left()
	for _, w := range r.workers {
		w.Board = w.BoardFD()
	}
}

// Reopen goes on with a list that was read: with those of its workers that the brain knows,
// and with what was left. What cannot be gone on with is done without.
func (r *Roster) Reopen(known iter.Seq[fleet.Worker], revisions map[int]*revision.Revision, to output.Destination, log *zap.Logger) {
	workers, strays := r.workers, r.left
	r.workers, r.left = map[int]*Worker{}, nil
	for _, one := range strays {
		if w := workers[one.Worker]; (w == nil || !w.Join(one.Tail)) && one.Tail.Reopen(to.Worker(0, one.Stream())) == nil {
			r.Leave(one.Tail)
		}
	}
	for f := range known {
		w := workers[f.ID]
		w.Identity, w.Rev, w.Executed = f.Identity, revisions[f.Revision], true
		if err := w.Reopen(to, log); err != nil {
			log.Error("cannot go on with all that a worker says", w.Fields(zap.Error(err))...)
		}
		r.workers[w.ID], r.pids[w.PID] = w, w
	}
}
