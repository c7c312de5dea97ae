//go:build linux

package supervisor

import (
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/process"
)

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
