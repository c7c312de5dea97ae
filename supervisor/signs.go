//go:build linux

package supervisor

import (
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// What a worker does not say has to be looked for, as long as it is young: that it
// waits for connections, which makes a plain one ready, and the header that one
// may still write which counts as ready already. The older it gets, the less often;
// when it is not young any more nobody looks, and an idle fleet costs nothing.
const (
	waitsLook  = 50 * time.Millisecond // and from then on a 16th of its age, but waitsMost
	waitsMost  = time.Second
	headerLook = 100 * time.Millisecond // and from then on a quarter of its age
	together   = 20 * time.Millisecond  // looks that fall so close together are one
)

// waiting looks whether one of the processes of a worker waits for connections
// on the sockets with these inodes.
func waiting(pid int, inodes []uint64, user *process.Credential) process.Waiting {
	trees, err := process.Trees([]int{pid})
	if err != nil {
		return process.Waiting{On: make([]bool, len(inodes)), Unsure: true}
	}
	seen := trees[0].Waiting(inodes, user)
	if slices.Contains(seen.On, false) {
		seen.Elsewhere = trees[0].Listening(inodes)
	}
	return seen
}

// nextSigns is when to look at the first worker; zero: never.
func (s *Supervisor) nextSigns() (next time.Time) {
	for w := range s.roster.All() {
		next = earlier(next, w.signs)
	}
	return next
}

// lookForSigns looks at all workers whose time has come.
func (s *Supervisor) lookForSigns(now time.Time) {
	for w := range s.roster.All() {
		if !w.signs.IsZero() && !w.signs.After(now.Add(together)) {
			s.lookOut(w, now)
		}
	}
}

// lookOut looks at a worker if there is something to be seen of it now, and
// decides when to do so next.
func (s *Supervisor) lookOut(w *worker, now time.Time) {
	s.readHeader(w)
	known, alive := s.fleet.Worker(w.ID)
	w.signs = time.Time{}
	if !alive || w.gone {
		return
	}
	age := now.Sub(known.Spawned)
	switch from := known.LookFrom(); {
	case from.After(now):
		w.signs = from
	case !from.IsZero():
		s.lookAtProcesses(w)
	case known.HeaderUntil().After(now) && w.memory != nil:
		w.signs = earlier(now.Add(max(headerLook, age/4)), s.lookAtQueues(w, now))
	case len(w.revision.unserved.since) > 0:
		w.signs = earlier(now.Add(unservedLook), s.lookAtQueues(w, now))
	}
}

// lookAtProcesses has a goroutine look whether the worker waits for connections.
// What that reads belongs to the worker, which may be able to keep its reader
// waiting: it is at its own expense.
func (s *Supervisor) lookAtProcesses(w *worker) {
	if w.looking {
		return
	}
	w.looking = true
	pid, inodes, user := w.pid, w.revision.sockets.Inodes(w.Slot), w.revision.credential
	go func() {
		seen := s.hands.waiting(pid, inodes, user)
		s.loop.Report(func() { s.saw(w, seen) })
	}()
}

// saw takes note of a look at the processes of a worker.
func (s *Supervisor) saw(w *worker, seen process.Waiting) {
	w.looking = false
	if w.gone || s.roster.Of(w.ID) != w {
		return
	}
	s.readHeader(w)
	s.step()
	known, _ := s.fleet.Worker(w.ID)
	w.elsewhere = seen.Elsewhere
	now := time.Now()
	switch {
	case known.Cooperates():
	case known.LookFrom().IsZero():
		w.revision.unserved.see(seen)
		s.warnUnserved(w, now)
	case seen.Any() || seen.Unsure:
		w.idle = false
		w.revision.unserved.see(seen)
		if !seen.Any() {
			s.warnBlind(w)
		}
		s.step(fleet.Waits{ID: w.ID})
	default:
		w.idle = true
		w.signs = now.Add(min(max(waitsLook, now.Sub(known.Spawned)/16), waitsMost))
		if len(seen.Elsewhere) > 0 {
			w.revision.unserved.see(seen)
			s.warnUnserved(w, now)
			w.signs = earlier(w.signs, s.lookAtQueues(w, now))
		}
	}
}

// unservedFor is how long somebody has to wait on a socket that nobody serves
// before that is said, and unservedLook how often it is looked at in the long run,
// if there is such a socket.
const (
	unservedFor  = 2 * time.Second
	unservedLook = 30 * time.Second
)

// unserved are the sockets of a revision, by index, on which no worker was seen
// waiting although one is ready or listens elsewhere, and since when somebody waits in their queues;
// zero: nobody does. A socket that was served once is never here again.
type unserved struct {
	since  map[int]time.Time
	served map[int]bool
}

// see takes note of what a worker waits on.
func (u *unserved) see(seen process.Waiting) {
	if u.since == nil {
		u.since, u.served = map[int]time.Time{}, map[int]bool{}
	}
	for i, on := range seen.On {
		switch _, known := u.since[i]; {
		case on:
			u.served[i] = true
			delete(u.since, i)
		case !seen.Unsure && !known && !u.served[i]:
			u.since[i] = time.Time{}
		}
	}
}

// lookAtQueues notes at which addresses that nobody serves somebody waits, and says
// when to look again; zero: when it suits. Who has waited for long is due: then the
// worker, one of those that could serve them, is looked at once more before it is
// said.
func (s *Supervisor) lookAtQueues(w *worker, now time.Time) (next time.Time) {
	u, fds := &w.revision.unserved, w.revision.sockets.Fds(0)
	due := false
	for i, since := range u.since {
		queue := []unix.PollFd{{Fd: int32(fds[i]), Events: unix.POLLIN}}
		n, err := unix.Poll(queue, 0)
		switch {
		case err != nil || n == 0:
			u.since[i] = time.Time{}
		case since.IsZero():
			u.since[i] = now
			next = earlier(next, now.Add(unservedFor))
		case now.Sub(since) < unservedFor:
			next = earlier(next, since.Add(unservedFor))
		default:
			due = true
		}
	}
	if due {
		s.lookAtProcesses(w)
	}
	return next
}

// warnUnserved warns, once for each, of addresses at which somebody waits in vain,
// just after a look at the worker.
func (s *Supervisor) warnUnserved(w *worker, now time.Time) {
	u, urls := &w.revision.unserved, w.revision.sockets.URLs()
	for i, since := range u.since {
		if since.IsZero() || now.Sub(since) < unservedFor {
			continue
		}
		delete(u.since, i)
		u.served[i] = true // said
		fields := []zap.Field{zap.String("bind", urls[i]), zap.Int("descriptor", 3+i)}
		if len(w.elsewhere) > 0 {
			fields = append(fields, zap.Strings("listens_on", w.elsewhere))
		}
		s.log.Warn("nobody accepts the connections to an address: the command serves another socket, or only the first", fields...)
	}
}
