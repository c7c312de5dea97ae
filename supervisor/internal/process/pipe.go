//go:build linux

package process

import "golang.org/x/sys/unix"

const fionread = unix.TIOCINQ

func pipe() (r, w int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p[0], p[1], err
}

// unread returns what is in the pipe, and leaves it there: tee(2). It is nil where
// there are no descriptors left.
func unread(fd int) []byte {
	r, w, err := pipe()
	if err != nil {
		return nil
	}
	defer unix.Close(r)
	defer unix.Close(w)
	n, err := unix.Tee(fd, w, pipeSize, unix.SPLICE_F_NONBLOCK)
	if err != nil || n <= 0 {
		return nil
	}
	text := make([]byte, n)
	if n, err := unix.Read(r, text); err == nil {
		return text[:n]
	}
	return nil
}
