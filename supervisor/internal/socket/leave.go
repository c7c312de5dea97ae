//go:build linux

package socket

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Quiesce keeps new connections away from sockets that are about to be closed, while those already made, and
// TCP handshakes under way, still reach the accept queue and can be accepted until it is empty. (Closing at once
// would reset everything that waits in the queue.) Who comes too late is refused as if the socket were closed already,
// which sends a load balancer elsewhere at once: TCP by a reset, unix because the path is removed.
//
// Sockets that came from outside (systemd, fd://) are left alone: whoever passed them goes on using them, and
// would find them deaf. [Set.Listen] takes quiesced sockets back into service.
func (s *Set) Quiesce() error { return atOnce(func(p *Paths) { p.Quiesce(s) }) }

// quiesce returns the path that is to be removed for it.
func (l *listener) quiesce() (path leftover, err error) {
	if !l.own || l.fd < 0 {
		return leftover{fd: -1}, nil
	}
	l.renewing = false
	if l.quiesced {
		return leftover{fd: -1}, nil
	}
	if l.bound.IsValid() {
		if err := refuse(l.fd); err != nil {
			return leftover{fd: -1}, fmt.Errorf("cannot keep new connections from %s: %w", l.url, err)
		}
	} else {
		path = l.leavePath()
	}
	l.quiesced = true
	return path, nil
}

// resume undoes quiesce for TCP. Where that cannot be, the descriptor becomes a new socket in the same place, which does
// not listen yet; workers that hold the old one can still accept what waits in its queue. For a unix socket that is the
// only way: see [Paths.Listen].
func (l *listener) resume() error {
	err := admit(l.fd)
	if errors.Is(err, unix.EPERM) {
		err = l.renewTCP()
	}
	if err != nil {
		return fmt.Errorf("cannot take the socket back into service: %w", err)
	}
	l.quiesced = false
	return nil
}

func (l *listener) renewTCP() error {
	sa, err := sockaddr(l.bound)
	if err != nil {
		return err
	}
	fd, err := (&opening{socket: newSocket}).makeTCP(target{l.bound, l.dual})
	if err != nil {
		return err
	}
	// SO_REUSEPORT lets one user have two sockets in one place, the old of which is on no interface.
	for _, fd := range []int{l.fd, fd} {
		for _, name := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
			err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, name, 1))
		}
	}
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	l.listening = false
	return replace(l.fd, fd)
}

// Queue is how many connections wait to be accepted on all sockets of the set. A unix socket with any counts
// as one, because the kernel does not say how many; the same goes for TCP where there is no TCP_INFO.
func (s *Set) Queue() int {
	var n int
	for _, e := range s.all() {
		if e.listening && e.fd >= 0 {
			n += e.queue()
		}
	}
	return n
}

func (l *listener) queue() int {
	if l.bound.IsValid() {
		if n, err := tcpQueue(l.fd); err == nil {
			return n
		}
	}
	ready, err := unix.Poll([]unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}, 0)
	if err != nil {
		return 0
	}
	return ready
}

// Close closes the sockets and removes the paths of unix sockets made here, unless something else has taken the
// path since. Other sets that hold the same sockets lose them; close the difference of two sets instead. Closing
// twice is harmless.
func (s *Set) Close() error { return atOnce(func(p *Paths) { p.Close(s) }) }

// CloseForAll closes the sockets made here for whoever may hold a copy of them, so
// that their addresses are free, and the others as [Set.Close] does.
func (s *Set) CloseForAll() error { return atOnce(func(p *Paths) { p.CloseForAll(s) }) }

// detach takes the socket out of all sets, and returns what is to be removed of it.
func (l *listener) detach() (leftover, error) {
	rest := l.leavePath()
	rest.fd = l.fd
	l.fd, l.listening = -1, false
	return rest, nil
}

// leavePath gives up the path, which is to be removed.
func (l *listener) leavePath() leftover {
	rest := leftover{fd: -1, url: l.url}
	if l.file != (fileID{}) {
		rest.path, rest.file = l.path, l.file
	}
	l.file = fileID{}
	return rest
}

// Own is the set of those sockets of s that were made here, which [Set.Quiesce] acts on.
func (s *Set) Own() *Set {
	if s == nil {
		return nil
	}
	own := &Set{options: s.options}
	for _, e := range s.entries {
		if e.own {
			own.entries = append(own.entries, e)
		}
	}
	return own
}

// Claim gives the paths of the unix sockets made here the mode and the owner of the options, which may have changed
// since they were bound. A path that something else has taken is left alone.
func (s *Set) Claim(o Options) error { return atOnce(func(p *Paths) { p.Claim(s, o) }) }

// claimFor gives the path to whom the options say, if it is still the file.
func claimFor(path string, file fileID, o Options) error {
	if id, err := claim(path, 0, -1, -1); err != nil || id != file {
		return nil
	}
	if _, err := claim(path, uint32(o.Mode.Perm()), owner(o.UID), owner(o.GID)); err != nil {
		return fmt.Errorf("cannot adapt unix://%s: %w", path, err)
	}
	return nil
}
