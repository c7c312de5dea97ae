//go:build linux

package socket

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	firstPassed = 3    // SD_LISTEN_FDS_START
	maxPassed   = 4096 // far above what anybody passes; a number to keep a mistake from becoming a loop
)

// Inherit returns the sockets that systemd (or anything that speaks sd_listen_fds(3)) passed to this process, nil
// when there are none: LISTEN_FDS is not set, or LISTEN_PID is another process. The sockets keep the
// names they came with, and listen already. They are closed on exec from now on; the variables are for this
// process alone, and the caller keeps them from the workers.
//
// Those among them that a master before this one made itself and left in the descriptor store, see [Set.Sync], are
// in a set of their own, nil when there are none. It is to be held while the addresses of the configuration are
// opened, for [Open] to take what fits, and the rest is to be closed by [Set.CloseUntaken].
//
// An error, an [*Error], means that something was passed that no worker could accept from.
func Inherit(environ []string, o Options) (socketUnits, stored *Set, err error) {
	env := make(map[string]string)
	for _, kv := range environ {
		if k, v, _ := strings.Cut(kv, "="); strings.HasPrefix(k, "LISTEN_") {
			env[k] = v
		}
	}
	if env["LISTEN_FDS"] == "" || env["LISTEN_PID"] != strconv.Itoa(os.Getpid()) {
		return nil, nil, nil
	}
	n, err := strconv.ParseUint(env["LISTEN_FDS"], 10, 31)
	if err != nil || n > maxPassed {
		return nil, nil, &Error{Address: "the sockets of LISTEN_FDS", Err: fmt.Errorf("%q is not a number of sockets", env["LISTEN_FDS"])}
	}
	if n == 0 {
		return nil, nil, nil
	}
	names := make([]string, n)
	if list, ok := env["LISTEN_FDNAMES"]; ok {
		names = strings.Split(list, ":")
		if len(names) != int(n) {
			return nil, nil, &Error{Address: "the sockets of LISTEN_FDS", Err: fmt.Errorf("LISTEN_FDNAMES has %d names for %d sockets", len(names), n)}
		}
	}
	for i, name := range names {
		a := Address{kind: passed, fd: firstPassed + i}
		if strings.HasPrefix(name, storedPrefix) {
			l := adoptStored(a.fd)
			if l.fd >= 0 {
				a = l.address()
			}
			stored = stored.with(o, entry{address: a, name: name, listener: l})
			continue
		}
		l, err := adopt(a.fd)
		if err != nil {
			return nil, nil, &Error{
				Address: fmt.Sprintf("descriptor %d (%q) of LISTEN_FDS", a.fd, name),
				Err:     err,
				Hint:    "a socket unit for gosuper has ListenStream= with TCP or a path, and Accept=no",
			}
		}
		socketUnits = socketUnits.with(o, entry{address: a, name: name, listener: l})
	}
	return socketUnits, stored, nil
}

// with is the set with one more entry; a nil set becomes one of these options.
func (s *Set) with(o Options, e entry) *Set {
	if s == nil {
		s = o.newSet()
	}
	s.entries = append(s.entries, e)
	return s
}

// adopt takes over a listening socket that this process was started with.
func adopt(fd int) (*listener, error) {
	if err := listens(fd); err != nil {
		return nil, err
	}
	l := &listener{fd: fd, listening: true}
	if err := l.describe(); err != nil {
		return nil, err
	}
	if l.bound.IsValid() {
		if err := noDelay(fd); err != nil {
			return nil, err
		}
		if l.bound.Addr() == netip.IPv6Unspecified() {
			only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
			l.dual = err == nil && only == 0
		}
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("cannot set O_NONBLOCK: %w", err)
	}
	return l, nil
}
