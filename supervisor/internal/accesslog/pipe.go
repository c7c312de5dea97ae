//go:build linux

package accesslog

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// pipe makes a pipe, large where that is allowed.
func pipe() (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, -1, err
	}
	// Beyond the user's share of the memory for pipes it stays as small as it is.
	_, _ = unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, pipeSize)
	return p[0], p[1], nil
}

// reopen opens the file of a descriptor once more: see proc(5), /proc/pid/fd.
func reopen(fd int) (int, error) {
	return unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}
