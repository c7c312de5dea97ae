//go:build linux

package socket

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// UnservedFor is how long somebody has to wait on a socket that nobody serves before that is to be said.
const UnservedFor = 2 * time.Second

// Unserved are the sockets of a set, by the index that they have among the descriptors of a worker, on which no worker was seen waiting for connections, although one is
// ready or listens elsewhere. A socket that was served once, or was told of, is never here again. The zero value knows of none.
type Unserved struct {
	since map[int]time.Time // when somebody was first seen in the queue; zero: nobody is there
	done  map[int]bool
}

// See takes note on which sockets a worker waits. unsure is whether that could not be seen of all that it is.
func (u *Unserved) See(on []bool, unsure bool) {
	if u.since == nil {
		u.since, u.done = map[int]time.Time{}, map[int]bool{}
	}
	for i, on := range on {
		switch _, known := u.since[i]; {
		case on:
			u.done[i] = true
			delete(u.since, i)
		case !unsure && !known && !u.done[i]:
			u.since[i] = time.Time{}
		}
	}
}

// Any says whether there are any.
func (u *Unserved) Any() bool { return len(u.since) > 0 }

// Look looks at which of them somebody waits, and says when to look again; zero: when it suits. overdue is that
// somebody has waited for UnservedFor.
func (u *Unserved) Look(now time.Time, s *Set) (next time.Time, overdue bool) {
	for i, since := range u.since {
		var queue []unix.PollFd
		for _, fd := range s.alike(i) {
			queue = append(queue, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
		n, err := unix.Poll(queue, 0)
		at := since.Add(UnservedFor)
		switch {
		case err != nil || n == 0:
			u.since[i] = time.Time{}
			continue
		case since.IsZero():
			u.since[i], at = now, now.Add(UnservedFor)
		case !at.After(now):
			overdue = true
			continue
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next, overdue
}

// Tell returns, once for each, those at which somebody has waited for UnservedFor.
func (u *Unserved) Tell(now time.Time) (indexes []int) {
	for i, since := range u.since {
		if !since.IsZero() && now.Sub(since) >= UnservedFor {
			delete(u.since, i)
			u.done[i] = true
			indexes = append(indexes, i)
		}
	}
	slices.Sort(indexes)
	return indexes
}
