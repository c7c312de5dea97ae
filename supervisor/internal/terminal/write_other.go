//go:build unix && !linux

package terminal

import "golang.org/x/sys/unix"

// Write is write(2): the signals of one thread cannot be blocked here.
func Write(fd int, b []byte) (n int, err error) { return unix.Write(fd, b) }
