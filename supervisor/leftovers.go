//go:build linux

package supervisor

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/worker/protocol"
)

// leftoverTime is how long the end of the master waits until what workers left
// behind is gone: what those had started comes to light only then.
const leftoverTime = 500 * time.Millisecond

// leftovers are the processes that workers have left behind outside their group,
// which SIGKILL takes, and that this master has adopted.
type leftovers struct {
	dead   map[int]deadLeader `state:"-"`      // by pid, while the kernel gives that to nobody else
	told   map[int]bool       `state:"-"`      // pids that were named
	owners map[int][]int      `state:"-"`      // ids of the workers that a process may come from, by its pid
	lost   bool               `state:"-"`      // the warning about what ended with its leader was given
	guests []int              `state:"guests"` // sessions of children that this process had before it was a master
	shared bool               `state:"shared"` // there were such, or a build: what they leave behind comes here as well
}

func newLeftovers() leftovers {
	return leftovers{dead: map[int]deadLeader{}, told: map[int]bool{}, owners: map[int][]int{}}
}

// deadLeader is a worker whose session or process group may not be empty yet.
type deadLeader struct {
	id    int
	alone bool // it ended by itself, when it was asked to, and knows nothing of gosuper
}

// knows says whether the process is a child that was started here.
func (s *Supervisor) knows(pid int) bool {
	return s.pids[pid] != nil || s.development.Is(pid) || s.upgrades.trial.Is(pid)
}

// meetGuests notes which children there are before the first worker. A script that
// starts something beside the master and becomes the master by exec leaves them to it.
func (s *Supervisor) meetGuests() {
	for _, o := range s.hands.adopted(s.knows) {
		s.leftovers.guests = append(s.leftovers.guests, o.Session)
		s.leftovers.shared = true
	}
}

// adopted are the children that may come from workers. A worker and all that it starts
// are in sessions of their own, which nobody enters from another: who is in that of the
// master, or of a guest, was there without any worker.
func (s *Supervisor) adopted() []process.Orphan {
	ours, err := unix.Getsid(0)
	there := map[int]bool{}
	orphans := slices.DeleteFunc(s.hands.adopted(s.knows), func(o process.Orphan) bool {
		there[o.Session] = true
		return err == nil && o.Session == ours || slices.Contains(s.leftovers.guests, o.Session)
	})
	// The kernel may give the number of a session that is gone to another one.
	s.leftovers.guests = slices.DeleteFunc(s.leftovers.guests, func(session int) bool { return !there[session] })
	return orphans
}

// died notes that workers were reaped.
func (l *leftovers) died(w *worker) {
	asked := !w.until.IsZero()
	l.dead[w.pid] = deadLeader{id: w.ID, alone: asked && !w.slain && !w.cooperates && w.status.Signal != syscall.SIGKILL}
}

// sweep ends what workers left behind that are gone themselves by now.
func (s *Supervisor) sweep(reaped []process.Orphan) {
	if len(s.leftovers.dead) == 0 && len(reaped) == 0 {
		return // nobody was orphaned, and nobody lost whom he had orphaned
	}
	for _, o := range reaped {
		delete(s.leftovers.owners, o.Pid)
	}
	adopted := s.adopted()
	s.lament(reaped)
	for _, o := range adopted {
		if _, ok := s.leftovers.dead[o.Group]; ok {
			continue // SIGKILL is on its way to the whole group
		}
		if owners := s.owners(o); !o.Ended && owners != nil && !slices.ContainsFunc(owners, s.lives) {
			s.endLeftover(o, owners)
		}
	}
	s.leftovers.forget(adopted)
}

// forget drops what concerns nobody any more.
func (l *leftovers) forget(adopted []process.Orphan) {
	there := map[int]bool{}
	for _, o := range adopted {
		there[o.Pid], there[o.Group], there[o.Session] = true, true, true
	}
	for pid := range l.dead {
		if !there[pid] {
			delete(l.dead, pid)
		}
	}
	maps.DeleteFunc(l.told, func(pid int, _ bool) bool { return !there[pid] })
	maps.DeleteFunc(l.owners, func(pid int, _ []int) bool { return !there[pid] })
}

// owners are the workers that a process may come from: one, as a rule; nil: that is
// not known. The session says so for certain. A process that has one of its own says
// it in its environment, where it may lie, and is ended earlier or later for it. One
// that does not say it comes from one of the workers there were when it was seen
// first, and has to end with the last of them; unless it may be from somebody else
// whose children are adopted here. Whatever it becomes later changes nothing.
func (s *Supervisor) owners(o process.Orphan) []int {
	if known, ok := s.leftovers.owners[o.Pid]; ok {
		return known
	}
	var owners []int
	if w := s.pids[o.Session]; w != nil {
		owners = []int{w.ID}
	} else if dead, ok := s.leftovers.dead[o.Session]; ok {
		owners = []int{dead.id}
	} else if id, err := strconv.Atoi(o.Value(protocol.EnvWorkerID)); err == nil {
		owners = []int{id}
	} else if !s.leftovers.shared && os.Getpid() != 1 {
		owners = append(owners, noWorker)
		for id, w := range s.workers {
			if w.executed || w.announced {
				owners = append(owners, id)
			}
		}
	}
	s.leftovers.owners[o.Pid] = owners
	return owners
}

// noWorker is no worker's id.
const noWorker = 0

// lives says whether a worker has not ended.
func (s *Supervisor) lives(id int) bool {
	w := s.workers[id]
	return w != nil && !w.gone
}

// endLeftover ends a process that a worker left behind, or lets it live if the
// configuration says so, and names it once.
func (s *Supervisor) endLeftover(o process.Orphan, owners []int) {
	outlive := s.current.config.Limits.Outlive
	if !s.leftovers.told[o.Pid] {
		s.leftovers.told[o.Pid] = true
		fields := []zap.Field{zap.Int("pid", o.Pid), zap.String("command", o.Command)}
		if len(owners) == 1 && owners[0] != noWorker {
			fields = append([]zap.Field{zap.Int("worker", owners[0])}, fields...)
		}
		if outlive {
			s.log.Info("worker left a process behind, which may outlive it", fields...)
		} else {
			s.log.Warn("worker left a process behind, which is ended: see limits.outlive", fields...)
		}
	}
	if outlive {
		return
	}
	if err := o.Kill(); err != nil {
		s.log.Error("cannot end what a worker left behind", zap.Int("pid", o.Pid), zap.Error(err))
	}
}

// endLeftovers ends all that workers have left behind, whosoever, when the master
// ends, and nothing else.
func (s *Supervisor) endLeftovers() {
	limit := time.NewTimer(leftoverTime)
	defer limit.Stop()
	for {
		_, reaped, _ := s.hands.reap(s.knows) // an error would have been told before
		s.lament(reaped)
		adopted := s.adopted()
		for _, o := range adopted {
			if _, ending := s.leftovers.dead[o.Group]; !ending && !o.Ended {
				s.endLeftover(o, s.owners(o))
			}
		}
		if len(adopted) == 0 || s.current.config.Limits.Outlive {
			return
		}
		if !s.awaitChild(limit.C) {
			s.nameRest(adopted)
			return
		}
	}
}

// nameRest says what is left of what workers left behind.
func (s *Supervisor) nameRest(adopted []process.Orphan) {
	for _, o := range adopted {
		if !o.Ended {
			s.log.Error("what a worker left behind does not die", zap.Int("pid", o.Pid), zap.String("command", o.Command))
		}
	}
}

// awaitChild waits for the end of some child, and says whether it came in time.
func (s *Supervisor) awaitChild(late <-chan time.Time) bool {
	for {
		select {
		case sig := <-s.signals:
			if sig == os.Signal(syscall.SIGCHLD) {
				return true
			}
		case <-late:
			return false
		}
	}
}

// lament says once that processes ended by SIGKILL because the worker that leads
// their group ended when it was asked to finish, as a shell does that has started a
// server without exec: what the server was doing is lost.
func (s *Supervisor) lament(reaped []process.Orphan) {
	for _, o := range reaped {
		dead, ok := s.leftovers.dead[o.Group]
		if !ok || !dead.alone || s.leftovers.lost || o.Status.Signal != syscall.SIGKILL {
			continue
		}
		s.leftovers.lost = true
		s.log.Warn("worker ended at its stop signal before the processes it had started, which are killed with all they were doing: "+
			"only the first process of a worker gets the signal; a shell script starts its server by exec",
			zap.Int("worker", dead.id), zap.Int("pid", o.Pid))
	}
}
