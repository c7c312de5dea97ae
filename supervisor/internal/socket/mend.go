//go:build linux

package socket

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// A Damage is what somebody who shares a socket had done to it.
type Damage struct {
	URL string
	// What it was: "did not listen any more", "was shut down", "lost its path".
	What string
}

// Mend has the sockets of this set listen again on which a worker called shutdown(2), as some servers do at their
// end, which makes them deaf for all who share them, and sets O_NONBLOCK again. It returns what it has mended. Unix
// sockets cannot be mended, only renewed: see [Paths.Renew].
func (s *Set) Mend() (mended []Damage, err error) {
	var errs []error
	for _, e := range s.serving() {
		if err := unix.SetNonblock(e.fd, true); err != nil {
			errs = append(errs, failed(e.address, fmt.Errorf("cannot set O_NONBLOCK: %w", err)))
		}
		if !e.bound.IsValid() || accepts(e.fd) {
			continue
		}
		if err := e.listenAgain(s.options); err != nil {
			errs = append(errs, failed(e.address, fmt.Errorf("it does not listen any more, and cannot be made to: %w", err)))
			continue
		}
		mended = append(mended, Damage{e.url, "did not listen any more"})
	}
	return mended, errors.Join(errs...)
}

// listenAgain has a TCP socket listen that did before. To the kernel one whose port it chose itself has none any more.
func (l *listener) listenAgain(o Options) error {
	sa, err := sockaddr(l.bound)
	if err != nil {
		return err
	}
	if err := unix.Bind(l.fd, sa); err != nil && err != unix.EINVAL { // it is bound
		return err
	}
	return unix.Listen(l.fd, o.Backlog)
}

// serving are the entries with sockets that are to take connections.
func (s *Set) serving() (entries []entry) {
	for _, e := range s.all() {
		if e.listening && !e.quiesced && e.fd >= 0 {
			entries = append(entries, e)
		}
	}
	return entries
}

// unreachable says why nobody can connect to a unix socket made here; "" if that is not so, or cannot be helped.
func unreachable(path string, file fileID, fd int) string {
	there, err := identify(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "lost its path"
	case err == nil && there == file && shut(fd):
		return "was shut down"
	}
	return ""
}
