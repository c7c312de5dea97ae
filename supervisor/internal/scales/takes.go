//go:build linux

package scales

// Takes returns what each of the workers takes now, in bytes as far as that is known: the last
// figure of memory, which is measured anew if it is old, and by what the worker has grown
// since. It may take a tenth of a second. Those that are not among them are forgotten.
func (s *Scales) Takes(workers []Worker) []uint64 {
	trees, _ := s.refresh(workers, memoryWait)
	all := make([]uint64, len(workers))
	for i, t := range trees {
		switch one := s.of(workers[i].ID); {
		case workers[i].PID == 0:
		case one.at.IsZero():
			all[i], _ = t.Private() // 0 of one that is gone
		default:
			pages := t.Resident()
			all[i] = one.bytes + max(pages, one.pages) - one.pages
		}
	}
	return all
}

// Unshared is the most that one of these processes takes, by pid, with all of what it has in
// common with those that were forked from it; 0: that is not known.
func (s *Scales) Unshared(pids []int) (most uint64) {
	trees, _ := s.trees(pids)
	for _, t := range trees {
		bytes, _ := t.Private() // 0 of one that is gone
		most = max(most, bytes)
	}
	return most
}
