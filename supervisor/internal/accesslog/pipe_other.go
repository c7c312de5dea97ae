//go:build unix && !linux

package accesslog

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// pipe makes a pipe of whatever size there is. It keeps forks out until both ends
// are marked.
func pipe() (r, w int, err error) {
	var p [2]int
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(p[:]); err != nil {
		return -1, -1, err
	}
	for _, fd := range p {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			unix.Close(p[0])
			unix.Close(p[1])
			return -1, -1, err
		}
	}
	return p[0], p[1], nil
}

// reopen can only duplicate the descriptor: a pipe has no name here, and workers
// share its flags.
func reopen(fd int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
}
