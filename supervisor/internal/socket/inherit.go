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

// Inherit returns the sockets that systemd (or anything that speaks sd_listen_fds(3)) passed to this process, and
// nil when there are none: LISTEN_FDS is not set, or LISTEN_PID is another process. The sockets keep the
// names they came with, and listen already. They are closed on exec from now on; the variables are for this
// process alone, and the caller keeps them from the workers.
//
// An error, an [*Error], means that something was passed that no worker could accept from.
func Inherit(environ []string, o Options) (*Set, error) {
	env := make(map[string]string)
	for _, kv := range environ {
		if k, v, _ := strings.Cut(kv, "="); strings.HasPrefix(k, "LISTEN_") {
			env[k] = v
		}
	}
	if env["LISTEN_FDS"] == "" || env["LISTEN_PID"] != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.ParseUint(env["LISTEN_FDS"], 10, 31)
	if err != nil || n > maxPassed {
		return nil, &Error{Address: "the sockets of LISTEN_FDS", Err: fmt.Errorf("%q is not a number of sockets", env["LISTEN_FDS"])}
	}
	if n == 0 {
		return nil, nil
	}
	names := make([]string, n)
	if list, ok := env["LISTEN_FDNAMES"]; ok {
		names = strings.Split(list, ":")
		if len(names) != int(n) {
			return nil, &Error{Address: "the sockets of LISTEN_FDS", Err: fmt.Errorf("LISTEN_FDNAMES has %d names for %d sockets", len(names), n)}
		}
	}
	s := o.newSet()
	for i, name := range names {
		a := Address{kind: passed, fd: firstPassed + i}
		l, err := adopt(a.fd)
		if err != nil {
			return nil, &Error{
				Address: fmt.Sprintf("descriptor %d (%q) of LISTEN_FDS", a.fd, name),
				Err:     err,
				Hint:    "a socket unit for gosuper has ListenStream= with TCP or a path, and Accept=no",
			}
		}
		s.entries = append(s.entries, entry{address: a, name: name, listener: l})
	}
	return s, nil
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
