//go:build linux

// Package groups watches the process groups of workers that are gone: who holds a lease
// holds it until nobody is left of its group. A group is killed when its leader is reaped,
// so as a rule there is nothing to wait for; but one may hang in the kernel.
//
// The kernel gives the number of a group to nobody else while somebody is in it. It says
// when children end, but not when others' do: so the groups are looked at again and
// again, less and less often.
package groups

import (
	"slices"
	"syscall"
	"time"
)

// How often the groups are looked at: after a part of the time for which the newest is
// there, between these.
const (
	part  = 4
	often = 5 * time.Millisecond
	rare  = time.Second
)

// Groups are those that are watched. The zero value watches none. It belongs to one
// goroutine.
type Groups struct {
	List []Group `state:"groups"`

	since time.Time `state:"-"` // when the newest came
	due   time.Time `state:"-"`
}

// A Group is what is left of a worker.
type Group struct {
	Worker int `state:"worker"` // its id
	PID    int `state:"pid"`    // that it had, and the group's number
}

// Watch has a group be watched whose leader was reaped.
func (g *Groups) Watch(worker, pid int) {
	g.List = append(g.List, Group{worker, pid})
	g.since = time.Now()
	g.due = g.since
}

// PID is the group's number of a worker that is gone; 0: it is not watched.
func (g *Groups) PID(worker int) int {
	for _, one := range g.List {
		if one.Worker == worker {
			return one.PID
		}
	}
	return 0
}

// Due is when to look next; zero: there is nothing to look at.
func (g *Groups) Due() time.Time {
	if len(g.List) == 0 {
		return time.Time{}
	}
	return g.due
}

// Look returns the workers of whose groups nobody is left, and forgets those. leads says
// whether a process is a child that leads a group of its own: its number was free then.
func (g *Groups) Look(now time.Time, leads func(pid int) bool) (gone []int) {
	g.List = slices.DeleteFunc(g.List, func(one Group) bool {
		over := leads(one.PID) || syscall.Kill(-one.PID, 0) == syscall.ESRCH
		if over {
			gone = append(gone, one.Worker)
		}
		return over
	})
	g.due = now.Add(min(max(now.Sub(g.since)/part, often), rare))
	return gone
}
