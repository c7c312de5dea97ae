//go:build linux

package socket

import (
	"fmt"
	"io/fs"
	"net/netip"
)

// Snapshot is several sets, some of which share sockets, for another image of
// this process to go on with: the descriptors stay open over the exec.
type Snapshot struct {
	Listeners []ListenerSnapshot `state:"listeners"`
	Sets      []SetSnapshot      `state:"sets"`
}

// ListenerSnapshot is one socket.
type ListenerSnapshot struct {
	Fd        int            `state:"fd,fd"`
	URL       string         `state:"url"`
	Bound     netip.AddrPort `state:"bound"`
	Dual      bool           `state:"dual"`
	Path      string         `state:"path"`
	Dev       uint64         `state:"dev"`
	Ino       uint64         `state:"ino"`
	Own       bool           `state:"own"`
	Listening bool           `state:"listening"`
	Quiesced  bool           `state:"quiesced"`
}

// SetSnapshot is one set.
type SetSnapshot struct {
	Entries []EntrySnapshot `state:"entries"`
	Backlog int             `state:"backlog"`
	Insist  bool            `state:"insist"`
	Mode    fs.FileMode     `state:"mode"`
	UID     int             `state:"uid"`
	GID     int             `state:"gid"`
}

// EntrySnapshot is one address of a set.
type EntrySnapshot struct {
	Address  string `state:"address"`
	Name     string `state:"name"`
	Listener int    `state:"listener"` // index in Listeners
}

// Snap takes a snapshot of the sets, which may be nil.
func Snap(sets ...*Set) Snapshot {
	var s Snapshot
	index := map[*listener]int{}
	for _, set := range sets {
		one := SetSnapshot{Entries: []EntrySnapshot{}}
		if set != nil {
			one.Backlog, one.Insist, one.Mode, one.UID, one.GID = set.options.Backlog, set.options.Insist, set.options.Mode, set.options.UID, set.options.GID
		}
		for _, e := range set.all() {
			at, seen := index[e.listener]
			if !seen {
				at = len(s.Listeners)
				index[e.listener] = at
				s.Listeners = append(s.Listeners, ListenerSnapshot{
					Fd: e.fd, URL: e.url, Bound: e.bound, Dual: e.dual, Path: e.path, Dev: e.file.dev, Ino: e.file.ino,
					Own: e.own, Listening: e.listening, Quiesced: e.quiesced,
				})
			}
			one.Entries = append(one.Entries, EntrySnapshot{e.address.String(), e.name, at})
		}
		s.Sets = append(s.Sets, one)
	}
	return s
}

// Fds are the descriptors in the snapshot.
func (s Snapshot) Fds() []int {
	var fds []int
	for _, l := range s.Listeners {
		if l.Fd >= 0 {
			fds = append(fds, l.Fd)
		}
	}
	return fds
}

// Restore returns the sets in the order in which they were given to [Snap]; a
// nil one comes back empty. No descriptor is looked at.
func Restore(s Snapshot) ([]*Set, error) {
	listeners := make([]*listener, len(s.Listeners))
	for i, l := range s.Listeners {
		listeners[i] = &listener{
			fd: l.Fd, url: l.URL, bound: l.Bound, dual: l.Dual, path: l.Path, file: fileID{l.Dev, l.Ino},
			own: l.Own, listening: l.Listening, quiesced: l.Quiesced,
		}
	}
	sets := make([]*Set, len(s.Sets))
	for i, one := range s.Sets {
		sets[i] = Options{Backlog: one.Backlog, Insist: one.Insist, Mode: one.Mode, UID: one.UID, GID: one.GID}.newSet()
		for _, e := range one.Entries {
			a, err := Parse(e.Address)
			if err != nil {
				return nil, fmt.Errorf("cannot restore a listener: %w", err)
			}
			if e.Listener < 0 || e.Listener >= len(listeners) {
				return nil, fmt.Errorf("cannot restore the listener of %s: it is not there", e.Address)
			}
			sets[i].entries = append(sets[i].entries, entry{a, e.Name, listeners[e.Listener]})
		}
	}
	return sets, nil
}
