//go:build linux

package socket

import "golang.org/x/sys/unix"

// Inodes are those of the listeners of a worker slot, in the order of Fds: what /proc calls a socket by. 0 is one
// that cannot be told.
func (s *Set) Inodes(slot int) []uint64 {
	inodes := make([]uint64, s.Len())
	for i, fd := range s.Fds(slot) {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil {
			inodes[i] = uint64(st.Ino)
		}
	}
	return inodes
}
