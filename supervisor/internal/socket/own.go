package socket

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
