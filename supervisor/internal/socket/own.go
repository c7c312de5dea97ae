//go:build linux

package socket

import (
	"errors"
	"fmt"
)

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
func (s *Set) Claim(o Options) error {
	var errs []error
	for _, e := range s.all() {
		if !e.own || e.path == "" || e.fd < 0 {
			continue
		}
		if id, err := claim(e.path, 0, -1, -1); err != nil || id != e.file {
			continue
		}
		if _, err := claim(e.path, uint32(o.Mode.Perm()), owner(o.UID), owner(o.GID)); err != nil {
			errs = append(errs, fmt.Errorf("cannot adapt %s: %w", e.url, err))
		}
	}
	return errors.Join(errs...)
}
