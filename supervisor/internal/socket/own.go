//go:build linux

package socket

import "fmt"

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
