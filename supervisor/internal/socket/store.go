//go:build linux

package socket

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// storedPrefix begins the names under which sockets made here are in the descriptor store of the service manager. A
// socket unit's name, which is what a socket of systemd's is called by default, ends in ".socket".
const storedPrefix = "gosuper-stored-"

// maxStoredName is how long such a name gets; 255 is the limit of sd_notify(3).
const maxStoredName = 200

// adoptStored takes over a socket that a master before this one made and stored. The listener is closed already if
// it is of no use: no listening socket, one that was quiesced, or a unix socket whose path leads elsewhere by now.
func adoptStored(fd int) *listener {
	l, err := adopt(fd)
	if err != nil {
		// Whatever it is, it was stored under a name of ours, and nobody else knows of it.
		_ = unix.Close(fd)
		return &listener{fd: -1}
	}
	l.own, l.left = true, true
	if l.bound.IsValid() {
		if refuses(fd) {
			_ = closeForEverybody(l)
		}
		return l
	}
	path := strings.TrimPrefix(l.url, "unix://")
	file, err := identify(path)
	if err != nil || !boundTo(fd, path, file) {
		_ = closeForEverybody(l)
		return l
	}
	l.path, l.file = path, file
	return l
}

// address is where a stored listener would be bound again.
func (l *listener) address() Address {
	if l.path != "" {
		return Address{kind: local, path: l.path}
	}
	return Address{kind: tcp, host: l.bound.Addr().String(), port: l.bound.Port()}
}

// detachForAll is detach for everybody who holds the socket. The service manager, which may, notices it as a hang-up
// and lets go; until then the place is free for another socket with SO_REUSEADDR.
func (l *listener) detachForAll() (leftover, error) {
	if l.fd < 0 {
		return leftover{fd: -1}, nil
	}
	err := unix.Shutdown(l.fd, unix.SHUT_RDWR)
	if err == unix.ENOTCONN { // it does not listen, perhaps because somebody was quicker
		err = nil
	}
	rest, _ := l.detach()
	return rest, err
}

// closeForEverybody closes a socket for everybody who holds it.
func closeForEverybody(l *listener) error {
	rest, err := l.detachForAll()
	return errors.Join(err, rest.remove())
}

// CloseUntaken closes the sockets of a set that [Inherit] found in the descriptor store and that taken does not hold, for
// whoever may hold them. Their names stay in the set until it is synced.
func (s *Set) CloseUntaken(taken *Set) error {
	var errs []error
	for _, e := range s.all() {
		e.left = false
		if !taken.has(e.listener) {
			if err := closeForEverybody(e.listener); err != nil {
				errs = append(errs, fmt.Errorf("cannot close %s, which a master before left: %w", e.url, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Sync brings the descriptor store in line with the wanted sets, as far as their sockets were made here, listen, and
// take new connections. s is what is in the store; it may be nil, and Sync returns what takes its place. keep and
// drop change the store; after an error of theirs, which Sync returns, the rest waits for the next time.
//
// Only sockets that listen are stored: to systemd, which watches what it keeps, others look hung up.
func (s *Set) Sync(keep func(name string, fd int) error, drop func(name string) error, wanted ...*Set) (*Set, error) {
	kept := &Set{entries: slices.Clone(s.all())}
	for i := 0; i < len(kept.entries); {
		e := kept.entries[i]
		if e.storable() && slices.ContainsFunc(wanted, func(w *Set) bool { return w.has(e.listener) }) {
			i++
			continue
		}
		if err := drop(e.name); err != nil {
			return kept, err
		}
		kept.entries = slices.Delete(kept.entries, i, i+1)
	}
	for _, w := range wanted {
		for _, e := range w.all() {
			if !e.storable() || kept.has(e.listener) {
				continue
			}
			e.name = kept.newName(e.url)
			if err := keep(e.name, e.fd); err != nil {
				return kept, err
			}
			kept.entries = append(kept.entries, e)
		}
	}
	return kept, nil
}

func (l *listener) storable() bool { return l.own && l.listening && !l.quiesced && l.fd >= 0 }

// newName is a name for the store that no socket of the set has, and that tells people what it is.
func (s *Set) newName(url string) string {
	base := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == ':' {
			return '_'
		}
		return r
	}, storedPrefix+strings.Replace(url, "://", "-", 1))
	base = base[:min(len(base), maxStoredName)]
	name := base
	for n := 2; slices.ContainsFunc(s.all(), func(e entry) bool { return e.name == name }); n++ {
		name = fmt.Sprintf("%s~%d", base, n)
	}
	return name
}
