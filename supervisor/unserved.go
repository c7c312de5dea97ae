package supervisor

import (
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// unservedFor is how long somebody has to wait on a socket that nobody serves
// before that is said.
const unservedFor = 2 * time.Second

// unserved are the sockets of a revision, by index, on which no worker was seen
// waiting although one is ready, and since when somebody waits in their queues;
// zero: nobody does. A socket that was served once is never here again.
type unserved struct {
	since  map[int]time.Time
	served map[int]bool
}

// see takes note of what a worker that is ready waits on.
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

// lookAtQueues warns, once for each, of addresses at which somebody waits in vain,
// and says when to look again; zero: when it suits.
func (s *Supervisor) lookAtQueues(r *revision, now time.Time) (next time.Time) {
	fds, urls := r.sockets.Fds(0), r.sockets.URLs()
	for i, since := range r.unserved.since {
		queue := []unix.PollFd{{Fd: int32(fds[i]), Events: unix.POLLIN}}
		n, err := unix.Poll(queue, 0)
		switch {
		case err != nil || n == 0:
			r.unserved.since[i] = time.Time{}
		case since.IsZero():
			r.unserved.since[i] = now
			next = earlier(next, now.Add(unservedFor))
		case now.Sub(since) < unservedFor:
			next = earlier(next, since.Add(unservedFor))
		default:
			delete(r.unserved.since, i)
			r.unserved.served[i] = true // said
			s.log.Warn("nobody accepts the connections to an address: the command serves another socket, or only the first", zap.String("bind", urls[i]), zap.Int("descriptor", 3+i))
		}
	}
	return next
}
