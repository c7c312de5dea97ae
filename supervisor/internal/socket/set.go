//go:build linux

package socket

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Options are what a [Set] needs to know beside its addresses. Mode, UID and GID are for the paths of unix
// sockets that are newly bound; a socket taken over keeps what it was made with.
type Options struct {
	// Backlog is how many connections may wait in each socket's accept queue; 0 and whatever is above
	// net.core.somaxconn mean that limit of the kernel.
	Backlog int `state:"backlog"`
	// Insist has sockets that came from outside get that backlog, too; they keep the one they came with otherwise.
	Insist bool `state:"insist"`
	// Mode is the permission of a unix socket's path; whoever may write may connect. 0 leaves it to the umask of
	// the process, which usually means that only the owner may connect.
	Mode fs.FileMode `state:"mode"`
	// UID and GID are to own a unix socket's path, normally those of the workers. 0 leaves them alone: the path
	// then belongs to the master's user, which is what 0 says anyway where the master may choose.
	UID int `state:"uid"`
	GID int `state:"gid"`
	// Again is asked after each try at an address that another process has, and may wait before it says whether there
	// is to be one more; nil: there is not. Processes that end keep their sockets until their memory is freed.
	Again func(*Error) bool `state:"-"`
}

// A listener is one socket. Sets share it by pointer while both hold its address.
type listener struct {
	_ struct{} `state:"sockets.listeners,table"`

	fd        int            `state:"fd,fd"`   // -1 once closed
	url       string         `state:"url"`     // what it is bound to
	bound     netip.AddrPort `state:"bound"`   // TCP only
	dual      bool           `state:"dual"`    // bound to [::] and takes IPv4 as well
	file      fileID         `state:",inline"` // unix only: what was bound; the zero value when there is no path to remove
	path      string         `state:"path"`    // unix only, with file
	own       bool           `state:"own"`     // made here: nobody outside the fleet shares it
	left      bool           `state:"-"`       // by a master before this one, and not yet in use
	listening bool           `state:"listening"`
	quiesced  bool           `state:"quiesced"`
	renewing  bool           `state:"-"` // another socket is being made to take its place
	denied    bool           `state:"-"` // its backlog is not ours to set
}

type entry struct {
	address   Address `state:"address"`
	name      string  `state:"name"` // systemd's; empty: by position
	slot      int     `state:"slot"` // the worker slot that alone has it, counted from 1; 0: all share it
	*listener `state:"listener"`
}

// A Set is listening sockets in their order of configuration, the shared ones first. It is immutable but for what happens to the sockets.
// A nil *Set is an empty one.
type Set struct {
	_ struct{} `state:"sockets.sets,table"`

	entries []entry `state:"entries"`
	options Options `state:",inline"` // with a backlog above 0
}

// usable reports whether a set can take l over. A path that is gone is bound anew, while errors count.
func (l *listener) usable() bool { return l.fd >= 0 && !(l.quiesced && !l.bound.IsValid()) }

// Listen starts listening on the sockets that do not listen yet, and takes quiesced ones back into service. On an error, an [*Error], some may listen already; closing the new ones is up to the caller.
func (s *Set) Listen() (err error) {
	// None is renewed later, so nobody has to be told.
	return errors.Join(atOnce(func(p *Paths) { err = p.Listen(s, nil) }), err)
}

func (l *listener) listen(o Options) error {
	if l.quiesced && l.bound.IsValid() {
		if err := l.resume(); err != nil {
			return err
		}
	}
	if l.listening {
		return nil
	}
	if l.bound.IsValid() {
		// Only now, see bindReserved. Connections inherit it, so that their TIME_WAIT does not keep the next master out.
		if err := unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return fmt.Errorf("cannot set SO_REUSEADDR: %w", err)
		}
	}
	if err := unix.Listen(l.fd, o.Backlog); err != nil {
		return err
	}
	l.listening = true
	return nil
}

// Reapply sets O_NONBLOCK and the backlog of this set again on every socket that listens. Workers share the
// sockets, and many servers call listen with a backlog of their own (Node 511) or make them blocking when they
// start, which would hold the accept loop of another worker in the kernel. The backlog of a socket that came from
// outside is its owner's, unless the options insist; where that is denied it is tried once.
func (s *Set) Reapply() error {
	var errs []error
	for _, e := range s.all() {
		if !e.listening {
			continue
		}
		if err := unix.SetNonblock(e.fd, true); err != nil {
			errs = append(errs, failed(e.address, fmt.Errorf("cannot set O_NONBLOCK: %w", err)))
		}
		if !e.own && (!s.options.Insist || e.denied) {
			continue
		}
		if err := unix.Listen(e.fd, s.options.Backlog); err != nil {
			e.denied = !e.own
			errs = append(errs, failed(e.address, fmt.Errorf("cannot set the backlog: %w", err)))
		}
	}
	return errors.Join(errs...)
}

// Fds are the descriptors of the listeners of a worker slot, in the order of [Set.Of]. They are close-on-exec, non-blocking, and stay the property of the set. Hand them to syscall.ForkExec as
// they are: an *os.File made from one of them clears O_NONBLOCK for the whole fleet in its Fd method.
func (s *Set) Fds(slot int) []int {
	return s.Of(slot).descriptors()
}

// Listening are the descriptors of all that listen.
func (s *Set) Listening() []int {
	return s.only(func(e entry) bool { return e.fd >= 0 && e.listening }).descriptors()
}

func (s *Set) descriptors() []int {
	fds := make([]int, s.Len())
	for i, e := range s.all() {
		fds[i] = e.fd
	}
	return fds
}

// Names are the names for LISTEN_FDNAMES, in the order of Fds: "bind0", "bind1", ... or what systemd calls them, and
// for those of the slot alone "bind_slot0", "bind_slot1", ...
func (s *Set) Names(slot int) []string {
	var names []string
	shared := s.Shared().Len()
	for i, e := range s.Of(slot).all() {
		switch {
		case e.slot > 0:
			e.name = "bind_slot" + strconv.Itoa(i-shared)
		case e.name == "":
			e.name = "bind" + strconv.Itoa(i)
		}
		names = append(names, e.name)
	}
	return names
}

// URLs are the addresses the sockets are really bound to, in their order: "tcp://127.0.0.1:8000" with the port
// that the kernel chose, "unix:///run/app.sock".
func (s *Set) URLs() []string {
	urls := make([]string, s.Len())
	for i, e := range s.all() {
		urls[i] = e.url
	}
	return urls
}

// Len is the number of sockets.
func (s *Set) Len() int { return len(s.all()) }

func (s *Set) all() []entry {
	if s == nil {
		return nil
	}
	return s.entries
}

// Without is the set of those sockets of s that other (which may be nil) does not hold.
func (s *Set) Without(other *Set) *Set {
	return s.only(func(e entry) bool { return !other.has(e.listener) })
}

// Bits has bit i set where socket i of s is also in of. Sockets past the 64th have no bit.
func (s *Set) Bits(of *Set) uint64 {
	var bits uint64
	for i, e := range s.all() {
		if of.has(e.listener) {
			bits |= 1 << i
		}
	}
	return bits
}

func (s *Set) has(l *listener) bool {
	return slices.ContainsFunc(s.all(), func(e entry) bool { return e.listener == l })
}

// Inodes are those of the listeners of a worker slot, in the order of Fds: what /proc calls a socket by. 0 is one
// that cannot be told.
func (s *Set) Inodes(slot int) []uint64 {
	fds := s.Fds(slot)
	inodes := make([]uint64, len(fds))
	for i, fd := range fds {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil {
			inodes[i] = uint64(st.Ino)
		}
	}
	return inodes
}
