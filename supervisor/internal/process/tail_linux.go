package process

import "golang.org/x/sys/unix"

const fionread = unix.TIOCINQ

func pipe() (r, w int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p[0], p[1], err
}
